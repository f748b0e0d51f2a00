"""Read image headers: size, depth and channels, whether Pillow can represent them, whether pixels are missing."""

import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from pix2pix.data.images.settings import pixel_limit
from pix2pix.data.images.storage import open_file
from pix2pix.errors import DataError

GDAL_NODATA = 42113
Nodata = Literal["nan"] | float
MOST_PAGES = 1000  # of a TIFF
_CONVERT = "convert it to PNG or TIFF"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are of BigTIFF


@dataclass(frozen=True)
class ImageInfo:
    """The properties of an image file according to its header."""

    size: tuple[int, int]  # (H, W), as its EXIF orientation turns it
    channels: int  # once palette, CMYK, YCbCr and LAB are converted
    dtype: str  # numpy's name of the values that reading gives
    frames: int = 1  # of an animation or of many pages, of which only the first is read; a stack is one frame
    paletted: bool = False  # its pixels are indices
    turned: bool = False  # its EXIF orientation turns or mirrors it
    alpha: bool = False  # the last channel is transparency
    nodata: Nodata | None = None  # the value of missing pixels, by the GDAL_NODATA tag of a TIFF


def nodata_in(tag: object) -> Nodata | None:
    """Return the value in a GDAL_NODATA tag (42113), which is text; None where there is no valid one."""
    try:
        value = float(str(tag).strip(" \0\n"))
    except ValueError:
        return None
    if math.isnan(value):
        return "nan"
    return value if math.isfinite(value) else None


def check_size(height: int, width: int, channels: int = 1) -> None:
    """Raise DecompressionBombError for an image beyond the limit of this thread; four channels are a pixel."""
    limit = pixel_limit.get()
    if limit is not None and height * width * max(channels, 4) > 4 * limit:
        raise Image.DecompressionBombError


def turned_size(height: int, width: int, orientation: object) -> tuple[int, int]:
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def native_type(dtype: np.dtype) -> np.dtype:
    """Return the type in native byte order; half and double precision become float32."""
    return np.dtype(np.float32) if dtype.kind == "f" else dtype.newbyteorder("=")


def png_header(path: Path) -> tuple[int, int]:
    """Return the bits per channel and the colour type (2 RGB, 4 grey and alpha, 6 RGBA).

    Pillow does not report them, and reduces 16-bit colour to 8 bits.
    """
    with open_file(path) as file:
        depth, colour = file.read(26)[24:]  # 8 bytes signature, 8 chunk head, 8 width and height, then these
        return depth, colour


def grey_bits(path: Path, image: Image.Image) -> int:
    """Return the bits of a grey value in the file; Pillow converts fewer than 8 to 8."""
    if image.format == "PNG":
        return png_header(path)[0]
    if not isinstance(image, TiffImageFile):
        return 8
    bits: int = image.tag_v2.get(258, (1,))[0]
    return bits


def png_chunks(path: Path) -> Iterator[bytes]:
    """Yield the names of the chunks of a PNG."""
    with open_file(path) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            yield head[4:]
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)


def png_stream(data: bytes) -> list[bytes]:
    """Return the compressed pixels of a PNG. Raises ValueError where a checksum, which Pillow ignores, is wrong."""
    at, parts = 8, []
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            checksum = data[end : end + 4]
            if len(checksum) == 4 and zlib.crc32(data[at + 4 : end]) != int.from_bytes(checksum, "big"):
                raise ValueError("the checksum of its pixels is wrong")
            parts.append(data[at + 8 : end])
        at = end + 4
    return parts


def check_png_rows(image: Image.Image, header: bytes, stream: list[bytes]) -> None:
    """Raise ValueError where a loaded PNG has fewer rows than its header says: Pillow silently leaves them black.

    Unpacking takes time, and is needed only where the last row is black; or for an interlaced PNG, which is rare.
    """
    depth, colour, interlaced = header[24], header[25], header[28]
    if not interlaced and np.asarray(image.crop((0, image.height - 1, *image.size))).any():
        return
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7
    need, bits = 0, depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    for left, top, across, down in passes if interlaced else ((0, 0, 1, 1),):
        width, height = -((left - image.width) // across), -((top - image.height) // down)
        need += height * (1 + -(-width * bits // 8)) if width > 0 else 0  # a row begins with its filter
    unpacker = zlib.decompressobj()
    for part in stream:
        need -= len(unpacker.decompress(part, need))  # no more: there may be a bomb behind the pixels
        if not need:
            return
    raise ValueError("image file is truncated")


def beyond_pillow(path: Path, image: Image.Image | None) -> str:
    """Describe a file that Pillow would reduce or misread; empty where Pillow reads it correctly."""
    if image is None:
        return "a TIFF of pixels that Pillow does not know"
    if image.format == "PNG":
        depth, colour = png_header(path)
        return "a 16-bit colour PNG" if depth > 8 and colour else ""
    if image.format == "PPM":
        _require_whole_values(path, image)
    if image.format == "JPEG2000":
        _require_whole_samples(path, image)
    if not isinstance(image, TiffImageFile):
        return ""
    tags, kind = image.tag_v2, image.mode
    bits, kinds, samples = max(tags.get(258, (1,))), set(tags.get(339, (1,))), tags.get(277, 1)
    grey = tags.get(262) in (0, 1)
    if grey and samples == 1 and image.n_frames > 1:
        return f"a TIFF of {image.n_frames} grey pages"
    if samples > len(image.getbands()):  # Pillow drops channels that its modes do not have
        return f"a TIFF of {samples} channels of {bits} bits"
    if kind in ("I;16", "I;16B"):  # which Pillow does not invert
        return "a 16-bit TIFF whose white is zero" if tags.get(262) == 0 else ""
    if kind in ("I", "F"):  # of which Pillow swaps the bytes twice where they are both compressed and big-endian
        held = kinds == {2 if kind == "I" else 3} and (tags.prefix == b"II" or tags.get(259) == 1)
        return "" if held else f"a TIFF of {bits}-bit numbers that Pillow misreads"
    if bits > 8 or not kinds <= {1, 4}:
        return f"a TIFF of {samples} channels of {bits} bits"
    if kind == "YCbCr" and tags.get(530, (2, 2)) != (1, 1):
        return "a TIFF of subsampled YCbCr colours"
    return ""


def _require_whole_values(path: Path, image: Image.Image) -> None:
    """Raise DataError for a netpbm file whose values Pillow would rescale, or reduce to 8 bits."""
    if image.mode == "1":
        return
    with open_file(path) as file:
        head = re.sub(rb"#[^\n]*", b"", file.read(4096)).split(maxsplit=3)
    if head[0] not in (b"P2", b"P3", b"P5", b"P6"):
        raise DataError("is a netpbm file of floats or of several channels, not read", path=path, remedy=_CONVERT)
    digits = re.match(rb"\d+", head[3])
    largest = int(digits[0]) if digits else 0
    if largest != 255 and not (largest == 65535 and image.mode == "I"):
        raise DataError(f"is a netpbm file of values up to {largest}, not read", path=path, remedy=_CONVERT)


def _require_whole_samples(path: Path, image: Image.Image) -> None:
    """Raise DataError for a JPEG 2000 file that Pillow would reduce to 8 bits, rescale or enlarge.

    The size segment (ITU-T T.800, A.5.1) has the depth and the subsampling of each channel.
    """
    with open_file(path) as file:
        head = file.read(1 << 16)
    start = head.find(b"\xff\x4f\xff\x51")
    count = int.from_bytes(head[start + 40 : start + 42], "big")
    channels = {head[at : at + 3] for at in range(start + 42, start + 42 + 3 * count, 3)}
    modes = {b"\x07\1\1": ("L", "LA", "RGB", "RGBA"), b"\x0f\1\1": ("I;16",)}  # unsigned, of 8 and of 16 bits
    if start < 0 or len(channels) != 1 or image.mode not in modes.get(channels.pop(), ()):
        raise DataError(
            "is a JPEG 2000 file that is neither of 8 bits nor grey of 16 bits, not read", path=path, remedy=_CONVERT
        )


def check_pages(file: BinaryIO) -> None:
    """Raise ValueError where a TIFF has more than `MOST_PAGES` pages, whose headers alone would take long to read."""
    file.seek(0)
    head = file.read(16)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    big = head[2:4] in (b"+\0", b"\0+")
    counts, entry, width = (8, 20, 8) if big else (2, 12, 4)
    at, seen = int.from_bytes(head[8:16] if big else head[4:8], order), set()
    while at and at not in seen:
        seen.add(at)
        if len(seen) > MOST_PAGES:
            raise ValueError(f"it has more than {MOST_PAGES:,} pages; split it")
        file.seek(at)
        count = int.from_bytes(file.read(counts), order)
        file.seek(at + counts + entry * count)
        at = int.from_bytes(file.read(width), order)


def check_strips(offsets: Sequence[int], lengths: Sequence[int], count: int) -> None:
    """Raise ValueError where a TIFF has fewer than `count` strips or tiles: decoders silently leave those black."""
    there = sum(offset > 0 for offset in offsets)
    if lengths:
        there = sum(offset > 0 and length > 0 for offset, length in zip(offsets, lengths, strict=False))
    if there < count:
        raise ValueError(f"{there} of {count} strips or tiles are there")


def check_tiff(image: TiffImageFile) -> None:
    """Raise ValueError where strips or tiles are missing."""
    tags = image.tag_v2
    tiles = 324 in tags
    width, height = (tags[322], tags[323]) if tiles else (tags[256], tags.get(278, tags[257]))
    count = math.ceil(tags[256] / max(width, 1)) * math.ceil(tags[257] / max(height, 1))
    planes = tags.get(277, 1) if tags.get(284) == 2 else 1
    check_strips(tags[324 if tiles else 273], tags.get(325 if tiles else 279, ()), count * planes)
