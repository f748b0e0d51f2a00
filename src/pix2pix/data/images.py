"""The only place that opens and writes image files.

Everything is 8-bit RGB for now. A file that Pillow would silently reduce (16 bits a channel, floats,
transparency) is refused by name: a loss of values must never be silent.
"""

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pix2pix.errors import DataError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # in others Pillow may reduce deep pixels, or run a program
_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_TIFF_BITS_PER_SAMPLE, _TIFF_SAMPLES_PER_PIXEL = 258, 277  # tag numbers, TIFF 6.0 section 8


def is_image(path: Path) -> bool:
    """Whether the name says that this is an image file of a kind that we read; hidden files are not."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _bits_per_channel(path: Path, image: Image.Image) -> int:
    """Bits a channel from the file's own header: Pillow decodes 16-bit colour PNG and TIFF to 8 bits without a word."""
    if image.format == "PNG":
        with open(path, "rb") as file:
            return file.read(25)[24]  # IHDR: 8 bytes signature, 8 chunk head, 8 width and height, then the depth
    if image.format == "TIFF":
        return max(image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,)))
    return 8


def _reduction(name: str | Path, what: str) -> DataError:
    return DataError(
        f"{name}: holds {what} pixels, and only 8-bit colour is read, since reducing it would lose values; convert it "
        "to an 8-bit RGB image first"
    )


def _refuse_reduction(path: Path, image: Image.Image) -> None:
    bits = _bits_per_channel(path, image)
    if bits > 8 or image.mode not in _EIGHT_BIT_MODES:
        raise _reduction(path, f"{bits}-bit" if bits > 8 else image.mode)
    if image.format == "TIFF" and (channels := image.tag_v2.get(_TIFF_SAMPLES_PER_PIXEL, 1)) > len(image.getbands()):
        raise _reduction(path, f"{channels}-channel")  # Pillow forgets those that it has no name for


def to_rgb(image: Image.Image, name: str | Path = "image") -> Image.Image:
    """A Pillow image of 8-bit channels as RGB, turned as its EXIF orientation says.

    Raises DataError, calling it `name`, where RGB cannot hold it: transparency, more than 8 bits.
    """
    if image.mode not in _EIGHT_BIT_MODES:
        raise _reduction(name, image.mode)
    if not image.width or not image.height:
        raise DataError(f"{name}: has no pixels")
    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise DataError(
                f"{name}: has transparent pixels, which RGB cannot hold; flatten it onto a background first"
            )
    return image.convert("RGB")


class _Quiet:
    """No odd EXIF and the like warns inside; a size that may be a bomb raises. `warnings.catch_warnings` for threads:
    there is one set of filters in a process, so the first thread in sets them and the last one out puts them back."""

    def __init__(self):
        self.lock, self.inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.caught = warnings.catch_warnings()
                self.caught.__enter__()
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
            self.inside += 1

    def __exit__(self, *error) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.caught.__exit__(*error)


_quiet = _Quiet()


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file's header as Pillow has it; whatever goes wrong with it inside is a DataError that names the file."""
    try:
        with _quiet, Image.open(path, formats=_FORMATS) as image:
            _refuse_reduction(path, image)
            yield image
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check its name") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: is not an image that can be read (PNG, JPEG, WebP, BMP, GIF or TIFF); remove it or replace it"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path}: claims so many pixels that it could be a decompression bomb; shrink or remove it"
        ) from None
    except (OSError, SyntaxError, ValueError, LookupError, EOFError, TypeError, OverflowError, struct.error) as error:
        # Pillow's decoders raise all of these on damaged files.
        raise DataError(f"{path}: cannot be read as an image ({error}); remove it or replace it") from None


def open_rgb(path: str | Path) -> Image.Image:
    """The first frame of an image file as a Pillow RGB image, turned as its EXIF orientation says.

    Raises DataError, naming the file, where it is missing, broken, or holds more than 8-bit RGB can.
    """
    path = Path(path)
    with _opened(path) as image:
        image.load()
        return to_rgb(image, path)


def read_image(path: str | Path) -> np.ndarray:
    """Pixels of an image file, uint8 [H, W, 3] in 0..255, turned as its EXIF says. Raises as `open_rgb` does."""
    return np.asarray(open_rgb(path))


def image_size(path: str | Path) -> tuple[int, int]:
    """(H, W) from the header alone, as its EXIF turns it. Raises as `open_rgb` does, as far as a header can tell."""
    with _opened(Path(path)) as image:
        # Pillow would decode a PNG to look for EXIF behind its pixels
        known = image.format != "PNG" or "exif" in image.info
        turned = known and image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
        return (image.width, image.height) if turned else (image.height, image.width)


def resize(pixels: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """uint8 [H, W, 3] resized to `size` (H, W), antialiased; the very same array where the size is right already."""
    if pixels.shape[:2] == tuple(size):
        return pixels
    resample = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], resample))


def write_image(path: str | Path, pixels: np.ndarray) -> None:
    """Writes uint8 [H, W, 3] as the kind of file that the name says, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
