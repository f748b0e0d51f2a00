"""Statistics of the pixels of a file that tell its kind: its distinct values, and whether they form areas or lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from pix2pix.data.formats.labels import ids_of
from pix2pix.data.formats.mismatch import Mismatch
from pix2pix.data.images.decoded import DecodedImage

Colour = tuple[int, int, int]
Storage = Literal["palette", "grey", "colour", "numbers", "other"]

FEW = 32  # values of a file: label maps and masks have fewer, photographs and smooth images more
_PIXELS = 4  # minimum number of pixels per value: a tiny image has few values whatever it shows
_MOST = 256  # distinct values; more are not listed
_ROWS = 64  # rows in which neighbouring pixels are compared
_LINE = 1 / 64  # of the shorter side: areas narrower than this are lines
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Content:
    """The values of one file.

    `storage`: how they are stored: indices of a palette, grey values (also as three equal channels), colours, numbers
    of a type that images do not have (such as int32 or bool), or anything else. `values`: the ids: the indices, the
    grey values as stored, or the numbers. `colours`: the 8-bit RGB colours. Both are empty if there are more than
    256 values or the storage has none. `count`: the number of distinct values, `_MOST + 1` if there are more than
    `_MOST`. `flat`: the share of pixels that equal their right neighbour. `thin`: how much of the rarer of two colours
    is drawn in lines, from 0 (only areas) to 1 (only lines).
    """

    storage: Storage
    dtype: str
    suffix: str
    count: int = _MOST + 1
    values: frozenset[int] = frozenset()
    colours: tuple[Colour, ...] = ()
    flat: float = 0.0
    thin: float = 0.0
    shades: bool = False  # grey values of 2 or 4 bits, which are ids or shades
    size: int = 0  # number of pixels

    @property
    def few(self) -> bool:
        """Whether there are few enough distinct values, with several pixels each, for each value to be a class."""
        return self.count <= FEW and (self.count == 1 or _PIXELS * self.count <= self.size)

    @property
    def names(self) -> Iterator[tuple[int, Colour]]:
        """Each index that a palette file uses, with its colour."""
        return zip(sorted(self.values), self.colours, strict=True)


def content_of(image: DecodedImage, file: str | Path) -> Content:
    """Return the statistics of a decoded image."""
    content = _content(image, file)
    return replace(content, size=image.pixels.shape[0] * image.pixels.shape[1])


def _content(image: DecodedImage, file: str | Path) -> Content:
    suffix, dtype = Path(file).suffix.lower(), image.pixels.dtype.name
    if image.palette is not None:
        return _of_palette(image, suffix)
    pixels = image.pixels
    if image.alpha:
        opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
        if (pixels[..., -1] != opaque).any():
            return Content("other", dtype, suffix)
        pixels = pixels[..., :-1]
    if pixels.shape[2] == 3 and pixels.dtype == np.uint8 and (pixels[..., :1] != pixels).any():
        return _of_colours(pixels, suffix)
    try:
        ids = ids_of(image)[..., 0]
    except Mismatch:
        return Content("other", dtype, suffix)
    return _of_numbers(ids, image.bits, dtype, suffix)


def _of_palette(image: DecodedImage, suffix: str) -> Content:
    indices = np.ascontiguousarray(image.pixels[..., 0])
    assert image.palette is not None  # only called for palette images
    used = np.flatnonzero(np.bincount(indices.ravel()))
    opaque = image.palette.shape[1] == 3 or (image.palette[used, 3] == 255).all()
    if not opaque:
        return Content("other", "uint8", suffix)
    colours = _tuples(image.palette[used, :3])
    return Content(
        "palette", "uint8", suffix, len(used), frozenset(used.tolist()), colours, _flat(indices), _thin(indices, used)
    )


def _of_colours(pixels: np.ndarray, suffix: str) -> Content:
    counted = Image.fromarray(np.ascontiguousarray(pixels)).getcolors(_MOST)
    if counted is None:
        return Content("colour", "uint8", suffix)
    colours = _tuples(np.array(sorted(colour for _, colour in counted)))
    step = max(1, pixels.shape[0] // _ROWS)
    rows = pixels[::step].astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    return Content("colour", "uint8", suffix, len(colours), frozenset(), colours, _flat(rows))


def _of_numbers(ids: np.ndarray, bits: int, dtype: str, suffix: str) -> Content:
    storage: Storage = "grey" if dtype in ("uint8", "uint16", "int16", "float32") else "numbers"
    some = np.unique(ids[:: max(1, ids.shape[0] // _ROWS)])
    used = some if len(some) > _MOST else np.unique(ids)
    if len(used) > _MOST:
        return Content(storage, dtype, suffix)
    values = [int(value) for value in used]
    scale = 255 // (2**bits - 1)
    greys = tuple((value * scale,) * 3 for value in values) if values[0] >= 0 and values[-1] * scale <= 255 else ()
    if values == [0, 65535]:
        greys = (BLACK, WHITE)
    shades = bits in (2, 4)
    return Content(
        storage, dtype, suffix, len(used), frozenset(values), greys, _flat(ids), _thin(ids, used), shades=shades
    )


def _tuples(colours: np.ndarray) -> tuple[Colour, ...]:
    return tuple((red, green, blue) for red, green, blue in colours.tolist())


def _flat(values: np.ndarray) -> float:
    """Return the share of pixels [H, W] that equal their right neighbour, 1 if the image is one column wide."""
    rows = values[:: max(1, values.shape[0] // _ROWS)]
    return float((rows[:, 1:] == rows[:, :-1]).mean()) if rows.shape[1] > 1 else 1.0


def _thin(values: np.ndarray, used: Sequence[int] | np.ndarray) -> float:
    """Return the share of the rarer of two values that erosion by a line's width removes; 0 of other images."""
    if len(used) != 2:
        return 0.0
    second = values == used[1]
    rare = second if second.sum() * 2 <= second.size else ~second
    width = max(3, int(min(rare.shape) * _LINE) // 2 * 2 + 1)
    eroded = np.asarray(Image.fromarray(rare.astype(np.uint8) * 255).filter(ImageFilter.MinFilter(width)))
    core = np.asarray(Image.fromarray(eroded).filter(ImageFilter.MaxFilter(width)))  # opening: areas are whole again
    return 1 - float((core > 0).sum() / rare.sum())
