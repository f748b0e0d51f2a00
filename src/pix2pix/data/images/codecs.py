"""Read and write what Pillow cannot represent: .npy, 16-bit colour PNG, and TIFF of deep colour or many channels.

imagecodecs and tifffile are the `formats` extra, imported only where a file needs them. On damaged
files the decoders' own exceptions are raised, which `files` converts to DataError.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pix2pix.data.images.info import (
    GDAL_NODATA,
    ImageInfo,
    check_size,
    check_strips,
    native_type,
    nodata_in,
    turned_size,
)
from pix2pix.data.images.storage import open_member
from pix2pix.data.images.tags import TiffTags
from pix2pix.errors import DataError
from pix2pix.runtime.opening import open_regular

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _SEPARATED = 0, 1, 2, 5  # TIFF 6.0, PhotometricInterpretation
_PREMULTIPLIED, _UNASSOCIATED = 1, 2  # TIFF 6.0 section 18, ExtraSamples
_ORIENTATION = 274


def has_extra() -> bool:
    return all(find_spec(name) for name in ("imagecodecs", "tifffile"))


def need_extra(path: str | Path, what: str, doing: str = "reading") -> None:
    if not has_extra():
        raise DataError(
            f"is {what}", path=path, remedy=f"{doing} it without loss needs: pip install 'pix2pix[formats]'"
        )


def turn(pixels: np.ndarray, orientation: object) -> np.ndarray:
    """Turn pixels [H, W, C] as the EXIF orientation says (EXIF 2.32, 4.6.4 A); ignore an unknown orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def native(pixels: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # a double that float32 cannot hold becomes infinite; callers check for that
        return pixels.astype(native_type(pixels.dtype), copy=False)


def raster(array: np.ndarray, name: str | Path) -> np.ndarray:
    """Return a view [H, W, C] of an array [H, W] or [H, W, C]. Raise DataError, naming `name`, for other arrays."""
    if array.dtype.kind not in "buif":
        raise DataError(f"holds {array.dtype} values", path=name, remedy="only real numbers make an image: save those")
    if array.ndim not in (2, 3):
        raise DataError(
            f"has the shape {list(array.shape)}", path=name, remedy="save [height, width] or [height, width, channels]"
        )
    if 0 in array.shape:
        raise DataError("has no pixels", path=name, remedy="remove it or replace it")
    if array.ndim == 2:
        return array[..., None]
    height, width, channels = array.shape
    if channels > 4 and height < min(width, channels):
        raise DataError(
            f"has the shape {list(array.shape)}, which looks like [channels, height, width]",
            path=name,
            remedy="save array.transpose(1, 2, 0) instead",
        )
    return array


def open_npy(path: Path) -> np.ndarray:
    """Map a .npy file as [H, W, C] without reading its values; one in an archive is read. Nothing is unpickled, and a
    short file raises."""
    member = open_member(path)
    if member is None:
        open_regular(path).close()
    array = np.lib.format.open_memmap(path, mode="r") if member is None else np.lib.format.read_array(member)
    array = raster(array, path)
    check_size(*array.shape)
    return array


def write_npy(path: Path, pixels: np.ndarray) -> None:
    with open(path, "wb") as file:  # np.save would add to a name that ends in .NPY
        np.save(file, pixels, allow_pickle=False)


def decode_png(data: bytes) -> np.ndarray:
    """Decode the default image of a PNG, [H, W, C], in its own depth; a transparent colour becomes an alpha channel."""
    import imagecodecs

    pixels = imagecodecs.png_decode(data)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write uint16 [H, W, 2 | 3 | 4], which Pillow cannot write."""
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


@contextmanager
def _opened(path: Path, what: str) -> Iterator["TiffFile"]:
    need_extra(path, what)
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # damaged files raise an error that says the same
    with tifffile.TiffFile(open_member(path) or path) as file:
        yield file


def _pages(file: "TiffFile") -> list["TiffPage"]:
    """Return the pages that make up the image: all pages of a stack of equal grey pages, else only the first."""
    from tifffile import TiffPage

    pages = [page for page in file.pages if isinstance(page, TiffPage)]
    first = pages[0]
    grey = first.samplesperpixel == 1 and first.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)

    def alike(page: "TiffPage") -> bool:
        same = (page.shaped, page.dtype, page.photometric) == (first.shaped, first.dtype, first.photometric)
        return same and not page.is_reduced and not page.is_mask

    return pages if grey and all(map(alike, pages)) else pages[:1]


def _header(pages: list["TiffPage"], frames: int, path: Path) -> ImageInfo:
    page = pages[0]
    cmyk = page.photometric == _SEPARATED and page.samplesperpixel == 4
    packed = page.bitspersample < 8 and page.samplesperpixel > 1
    if packed or page.dtype is None or page.dtype.kind not in "buif" or page.imagedepth > 1 or 0 in page.shaped:
        raise DataError(
            "is a TIFF of pixels that are not read", path=path, remedy="save it as [height, width, channels] in .npy"
        )
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) and not cmyk:
        name = getattr(page.photometric, "name", page.photometric)
        raise DataError(
            f"is a TIFF of {page.bitspersample}-bit {name} colours, not read", path=path, remedy="convert it to RGB"
        )
    channels = 3 if cmyk else len(pages) if len(pages) > 1 else page.samplesperpixel
    check_size(page.imagelength, page.imagewidth, channels)
    return ImageInfo(
        turned_size(page.imagelength, page.imagewidth, _orientation(page)),
        channels,
        "uint8" if page.dtype.kind == "b" else native_type(page.dtype).name,
        1 if len(pages) > 1 else frames,
        alpha=channels in (2, 4) and tuple(page.extrasamples) in ((_PREMULTIPLIED,), (_UNASSOCIATED,)),
        nodata=nodata_in(page.tags[GDAL_NODATA].value) if GDAL_NODATA in page.tags else None,
    )


def _orientation(page: "TiffPage") -> object:
    return page.tags[_ORIENTATION].value if _ORIENTATION in page.tags else 1


def tiff_header(path: Path, what: str) -> ImageInfo:
    """Read the header of a TIFF.

    Raises DataError where the `formats` extra, which `what` needs, is missing, or where such pixels are not supported.
    """
    with _opened(path, what) as file:
        return _header(_pages(file), len(file.pages), path)


def read_tiff(path: Path, what: str) -> tuple[np.ndarray, bool]:
    """Read the first page of a TIFF, or a stack: pixels [H, W, C], upright, in their own type, and whether the last
    channel is transparency. Raises as `tiff_header` does.

    White is the greatest value, even where the file stores it as zero. Fewer than 8 bits are scaled to 0..255.
    """
    with _opened(path, what) as file:
        pages = _pages(file)
        header = _header(pages, 1, path)
        pixels = np.concatenate([_decoded(page) for page in pages], 2)
        return turn(native(pixels), _orientation(pages[0])), header.alpha


def _decoded(page: "TiffPage") -> np.ndarray:
    check_strips(page.dataoffsets, page.databytecounts, int(np.prod(page.chunked)))
    planes = page.asarray(maxworkers=1).reshape(page.shaped)[:, 0]  # [planes, H, W, interleaved], one of them 1
    pixels = np.moveaxis(planes, 0, 2).reshape(page.imagelength, page.imagewidth, -1)
    bits, most = page.bitspersample, 2**page.bitspersample - 1
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8)
    if pixels.dtype.kind != "u":
        return pixels
    if page.photometric == _WHITE_IS_ZERO:
        pixels = most - pixels
    if bits < 8:
        pixels = np.rint(pixels * (255 / most)).astype(np.uint8)
    if page.photometric == _SEPARATED:
        inks = pixels.astype(np.float64)
        pixels = np.rint((most - inks[..., :3]) * (most - inks[..., 3:]) / most).astype(pixels.dtype)
    if tuple(page.extrasamples)[:1] == (_PREMULTIPLIED,) and pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:]
        colours = np.rint(pixels[..., :-1] * (float(most) / np.maximum(alpha, 1)))
        pixels = np.concatenate([np.minimum(colours, most).astype(pixels.dtype), alpha], 2)
    return pixels


def write_tiff(path: Path, pixels: np.ndarray, tags: TiffTags | None = None) -> None:
    """Write [H, W, C] of any type, with these tags.

    2 channels are grey with alpha, 3 RGB and 4 RGBA; others are unspecified.
    """
    import tifffile

    channels = pixels.shape[2]
    extra = channels - 3 if channels in (3, 4) else channels - 1
    tifffile.imwrite(
        path,
        pixels if channels > 1 else pixels[..., 0],
        photometric="rgb" if channels in (3, 4) else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha" if channels in (2, 4) else "unspecified"] * extra or None,
        metadata=None,
        **(tags.for_tifffile() if tags else {}),
    )
