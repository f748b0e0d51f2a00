"""Open, read and write image files, without reducing any values silently; `codecs` does what Pillow cannot."""

import logging
import os
import struct
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import TiffImageFile

from pix2pix.data.images import codecs, info, jpeg
from pix2pix.data.images.decoded import (
    DecodedImage,
    as_pil,
    channels_of,
    decode_image,
    has_alpha,
    orientation_of,
)
from pix2pix.data.images.info import ImageInfo, png_header
from pix2pix.data.images.settings import TooLarge, decoding
from pix2pix.data.images.storage import open_file
from pix2pix.data.images.tags import TiffTags
from pix2pix.errors import DataError
from pix2pix.runtime.ownership import SOFTWARE

_SUFFIXES = ".png .jpg .jpeg .jfif .mpo .webp .bmp .gif .tif .tiff .ico .pcx .ppm .pgm .pbm .pnm .tga .jp2 .j2k .npy"
EXTENSIONS = frozenset(_SUFFIXES.split())
LOSSLESS = (".png", ".tif", ".tiff", ".npy", ".bmp")
# MPO is JPEG. Other formats may run programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "ICO", "PCX", "PPM", "TGA", "JPEG2000")
_MAY_TURN = frozenset({"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"})  # where PNG has its orientation
_PNG_LEVEL = 1  # of zlib; photographs of facades take a quarter of the time of level 6 and 4 % more space
_REPLACE = "remove it or replace it"


def is_image(path: Path | str) -> bool:
    """Return whether the name is that of an image file which can be read; hidden files are excluded."""
    name = os.path.basename(path)
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn exceptions of decoders into a DataError that names the file."""
    try:
        with decoding():
            yield
    except FileNotFoundError:
        raise DataError("no such file", path=path, remedy="check its name") from None
    except UnidentifiedImageError:
        raise DataError(
            "is not an image that can be read (PNG, JPEG, WebP, BMP, GIF or TIFF)", path=path, remedy=_REPLACE
        ) from None
    except TooLarge as error:
        raise DataError(
            f"claims {error}, so it could be a decompression bomb",
            path=path,
            remedy="shrink or remove it, or raise data.max_pixels (of sample: --max-pixels)",
            code="too-large",
        ) from None
    except (
        *(OSError, SyntaxError, ValueError, LookupError, EOFError, TypeError, ArithmeticError),
        *(RuntimeError, ImportError, MemoryError, struct.error, zlib.error, tokenize.TokenError),
    ) as error:
        # The decoders of Pillow, numpy, tifffile and imagecodecs (whose errors are RuntimeErrors) on damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot be read as an image ({reason})", path=path, remedy=_REPLACE) from None


@contextmanager
def _opened(path: Path, whole: bool = False) -> Iterator[Image.Image | None]:
    """Open a file with Pillow; yield None for a TIFF of a kind that Pillow does not know.

    `whole`: the pixels will be read too, not the header alone.
    """
    with _explained(path), open_file(path) as file:
        magic = file.read(4)
        if magic in info.TIFF_MAGICS:
            info.check_pages(file)
        source = file
        if magic.startswith(b"\xff\xd8"):
            found = dict(jpeg.segments(file))
            source = jpeg.Feed(file, found) if whole else file
        source.seek(0)
        logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # TIFFs of many bands are read by tifffile
        try:
            image = Image.open(source, formats=_FORMATS)
        except UnidentifiedImageError:
            if magic not in info.TIFF_MAGICS:
                raise
            image = None
        with image or nullcontext():
            if image is not None:
                info.check_size(image.height, image.width)
            yield image


def read_info(path: str | Path) -> ImageInfo:
    """Return the properties in a file's header. Raises DataError as `read_image` does, as far as a header can tell."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        with _explained(path):
            array = codecs.open_npy(path)
            return ImageInfo(array.shape[:2], array.shape[2], info.native_type(array.dtype).name)
    with _opened(path) as image:
        beyond = info.beyond_pillow(path, image)
        if image is None or (beyond and image.format == "TIFF"):
            return codecs.tiff_header(path, beyond)
        width, height = image.size
        orientation: object = 1
        if isinstance(image, TiffImageFile):  # of which newer Pillows give the size as turned
            width, height = image.tag_v2[256], image.tag_v2[257]
        # Pillow would decode a PNG to look for EXIF behind its pixels.
        if image.format != "PNG" or _MAY_TURN & image.info.keys() or b"eXIf" in info.png_chunks(path):
            orientation = orientation_of(image)
        size = info.turned_size(height, width, orientation)
        frames, turned = getattr(image, "n_frames", 1), orientation in range(2, 9)
        if beyond:
            codecs.need_extra(path, beyond)
            channels = {2: 3, 4: 2, 6: 4}[png_header(path)[1]] + ("transparency" in image.info)
            return ImageInfo(size, channels, "uint16", frames, turned=turned, alpha=channels in (2, 4))
        if image.mode == "P":
            return ImageInfo(size, 4 if has_alpha(image) else 3, "uint8", frames, True, turned, has_alpha(image))
        nodata = info.nodata_in(getattr(image, "tag_v2", {}).get(info.GDAL_NODATA))
        return ImageInfo(size, *channels_of(image), frames, turned=turned, alpha=has_alpha(image), nodata=nodata)


def read_image(path: str | Path) -> DecodedImage:
    """Read the first frame of an image file, or a TIFF stack as channels, upright.

    uint8, uint16 and float32 pixels are images; other integers and bool are returned unchanged, for labels. 1-bit
    images are 0 and 255; CMYK, YCbCr and LAB become RGB; a transparent colour (PNG's tRNS) becomes an alpha channel;
    halves and doubles become float32. Raises DataError naming the file where it is missing, broken or cannot be read
    without loss.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        with _explained(path):
            return DecodedImage(codecs.native(np.array(codecs.open_npy(path))))
    with _opened(path, whole=True) as image:
        beyond = info.beyond_pillow(path, image)
        if image is None or (beyond and image.format == "TIFF"):
            pixels, alpha = codecs.read_tiff(path, beyond)
            return DecodedImage(pixels, alpha=alpha)
        if isinstance(image, TiffImageFile):
            info.check_tiff(image)
            image.filename = ""  # or Pillow maps the file in the shape that it has when turned, and gives garbage
        if image.format == "PNG":
            with open_file(path) as png:
                data = png.read()
            stream = info.png_stream(data)
            if beyond:
                pixels = _decode_deep_png(path, image, data, beyond)
                return DecodedImage(pixels, alpha=pixels.shape[2] in (2, 4))
            if image.mode == "L" and "transparency" in image.info:  # Pillow scales the values, but not this one
                image.info["transparency"] *= 255 // (2 ** png_header(path)[0] - 1)
        source = getattr(image, "fp", None)  # gone once the image is loaded
        feed = source if isinstance(source, jpeg.Feed) else None
        if feed:
            feed.hold_back()
        image.load()
        if feed:
            feed.require_used()
        if image.format == "PNG":
            info.check_png_rows(image, data, stream)
        decoded = decode_image(image, path)
        return replace(decoded, bits=info.grey_bits(path, image)) if image.mode == "L" else decoded


def _decode_deep_png(path: Path, image: Image.Image, data: bytes, what: str) -> np.ndarray:
    codecs.need_extra(path, what)
    pixels = codecs.decode_png(data)
    turns = any(mark in data for mark in (b"eXIf", *(name.encode() for name in _MAY_TURN)))  # or Pillow would decode it
    return codecs.turn(pixels, orientation_of(image)) if turns else pixels


def _writer(suffix: str, channels: int, dtype: str) -> str:
    """Return the writer of such pixels: pillow, png, tiff or npy; "" where files of that suffix cannot hold them."""
    suffix = suffix.lower()
    if suffix == ".npy":
        return "npy" if dtype == "float32" or np.dtype(dtype).kind in "bui" else ""
    if suffix in (".tif", ".tiff") and dtype in ("uint8", "uint16", "float32"):
        return "pillow" if channels == 1 or (channels <= 4 and dtype == "uint8") else "tiff"
    if suffix == ".png" and 1 <= channels <= 4 and dtype in ("uint8", "uint16"):
        return "png" if channels > 1 and dtype == "uint16" else "pillow"
    if dtype == "uint8":
        most = {".bmp": (1, 3), ".jpg": (1, 3), ".jpeg": (1, 3), ".jfif": (1, 3), ".webp": (3, 4)}
        return "pillow" if channels in most.get(suffix, ()) else ""
    return ""


def holds(suffix: str, channels: int, dtype: str) -> bool:
    """Return whether `write_image` can write such pixels to that suffix without loss, with the installed packages."""
    writer = _writer(suffix, channels, dtype)
    return can_hold(suffix, channels, dtype) and (writer not in ("png", "tiff") or codecs.has_extra())


def can_hold(suffix: str, channels: int, dtype: str) -> bool:
    """Return whether files of that suffix hold such pixels without loss, whatever packages are installed."""
    return suffix.lower() in LOSSLESS and bool(_writer(suffix, channels, dtype))


def write_image(
    path: str | Path,
    pixels: np.ndarray,
    palette: np.ndarray | None = None,
    signed: bool = False,
    tags: TiffTags | None = None,
) -> None:
    """Write [H, W, C] in the file format of the suffix, creating the folder.

    With a palette, uint8 [n, 3 | 4], the pixels are uint8 indices [H, W, 1], the file a PNG. JPEG and WebP are lossy.
    `signed` marks an 8-bit PNG as made by pix2pix, so that a later command may replace it. `tags` are those of a
    TIFF. Raises DataError where files of that kind cannot hold such pixels.
    """
    path = Path(path)
    channels, dtype = pixels.shape[2], pixels.dtype.name
    writer = _writer(path.suffix, channels, dtype)
    if not writer or (palette is not None and (path.suffix.lower(), channels, dtype) != (".png", 1, "uint8")):
        what = f"{channels}-channel {dtype} pixels" + (" with a palette" if palette is not None else "")
        raise DataError(f"a {path.suffix} file cannot hold {what}", path=path, remedy="write .png, .tif or .npy")
    if writer in ("png", "tiff"):
        codecs.need_extra(path, f"to hold {channels}-channel {dtype} pixels", "writing")
    path.parent.mkdir(parents=True, exist_ok=True)
    if writer == "tiff":
        return codecs.write_tiff(path, pixels, tags)
    if writer != "pillow":
        return {"png": codecs.write_png, "npy": codecs.write_npy}[writer](path, pixels)
    signature = PngInfo()
    signature.add_text("Software", SOFTWARE)
    image = as_pil(pixels, palette)
    if path.suffix.lower() == ".png":
        image.save(path, pnginfo=signature if signed else None, compress_level=_PNG_LEVEL)
    elif tags and path.suffix.lower() in (".tif", ".tiff"):
        image.save(path, tiffinfo=tags.for_pillow())
    else:
        image.save(path)
