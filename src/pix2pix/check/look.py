"""What is kept of a pair after one look at it: numbers, hashes and a tiny thumbnail, not its pixels."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from pix2pix.check.likeness import Likeness, likeness
from pix2pix.check.registration import SIDE, Offset, edges, offset
from pix2pix.data.images import read_image
from pix2pix.data.pairs import Pair
from pix2pix.errors import DataError

_SAMPLED = 64  # rows and columns that colours are counted in
_ROUGH = 16  # values a channel that are one, when colours are told apart roughly
_STILL = 2  # neighbours that differ by no more are of one flat colour
_COMMON = 16  # rough colours kept


class Look(NamedTuple):
    """One picture. `traits` tell kinds of pictures apart, see `_traits`."""

    size: tuple[int, int]  # (H, W)
    likeness: Likeness
    low: int  # of a reduced grey copy, 0 to 255
    high: int
    one_colour: bool
    top: int  # its highest value, where `high` is so low that this matters; else 255
    colours: int  # different ones in a sample of its pixels
    common: np.ndarray  # int32 [2, n]: its commonest rough colours, and the parts in 10,000 that each has
    traits: np.ndarray  # float32 [8]


@dataclass(slots=True)
class Seen:
    """One pair. `problems`: (code, file, reason) of what keeps it from being read; then there are no looks."""

    split: str
    name: str
    files: tuple[str, ...]
    problems: tuple[tuple[str, str, str], ...] = ()
    input: Look | None = None
    target: Look | None = None
    offset: Offset | None = None


def look_at(pair: Pair, split: str) -> Seen:
    """Reads a pair. Never raises DataError: what is wrong with its files is in `problems`."""
    seen = Seen(split, pair.name, tuple(map(str, pair.files)))
    try:
        input, target = pair.read()
    except DataError as error:
        seen.problems = _problems(pair, str(error))
        return seen
    seen.input, grey = _look(input)
    seen.target, other = _look(target)
    seen.offset = offset(edges(grey), edges(other))
    return seen


def _look(pixels: np.ndarray) -> tuple[Look, np.ndarray]:
    """Of uint8 [H, W, 3]; and its reduced grey copy, float32 [SIDE, SIDE] in 0..255."""
    pixels = np.ascontiguousarray(pixels)
    small = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    low, high = small.getextrema()
    grey = np.asarray(small, np.float32)
    red, green, blue = sample = _sample(pixels)
    exact = np.sort(red << 16 | green << 8 | blue)
    rough = np.bincount(red // _ROUGH << 8 | green // _ROUGH << 4 | blue // _ROUGH, minlength=_COMMON)
    common = np.argpartition(rough, -_COMMON)[-_COMMON:]
    look = Look(
        pixels.shape[:2],
        likeness(pixels, grey),
        low,
        high,
        high - low <= 1 and bool((pixels == pixels[0, 0]).all()),
        int(pixels.max()) if high < 32 else 255,
        1 + np.count_nonzero(exact[1:] != exact[:-1]),
        np.array([common, rough[common] * 10_000 // len(exact)], np.int32),
        _traits(sample, rough[rough > 0] / len(exact), _stillness(pixels), grey),
    )
    return look, grey


def _steps(pixels: np.ndarray) -> tuple[int, int]:
    return tuple(max(1, side // _SAMPLED) for side in pixels.shape[:2])


def _sample(pixels: np.ndarray) -> np.ndarray:
    """Pixels on a grid, int32 [3, n]."""
    down, right = _steps(pixels)
    return np.ascontiguousarray(pixels[::down, ::right].reshape(-1, 3).T, np.int32)


def _stillness(pixels: np.ndarray) -> float:
    """The share of places whose right neighbour is as green, or nearly."""
    down, right = _steps(pixels)
    here, beside = pixels[::down, :-1:right, 1].astype(np.int16), pixels[::down, 1::right, 1]
    return float((np.abs(here - beside) <= _STILL).mean()) if here.size else 1.0


def _traits(sample: np.ndarray, shares: np.ndarray, still: float, grey: np.ndarray) -> np.ndarray:
    """What tells a photograph from a drawing, one time from another: float32 [8], each of the order of 1.

    Entropy of its colours, the share of the eight commonest, how much of it is flat, mean gradient, mean saturation,
    and mean red, green and blue.
    """
    red, green, blue = sample
    saturation = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return np.array(
        [
            -(shares * np.log2(shares)).sum(),
            np.sort(shares)[-8:].sum(),
            still,
            np.log1p(np.abs(grey[:, 1:] - grey[:, :-1]).mean()),
            saturation.mean() / 64,
            *(sample.mean(1) / 64),
        ],
        np.float32,
    )


def _problems(pair: Pair, message: str) -> tuple[tuple[str, str, str], ...]:
    """Which of a pair's files cannot be read, and why; where each can, why the pair cannot."""
    found = []
    for path in pair.files:
        try:
            read_image(path)
        except DataError as error:
            found.append(("unreadable", str(path), str(error).removeprefix(f"{path}: ")))
    if not found:
        code = "unequal-size" if len(pair.files) > 1 else "no-halves"
        found = [(code, str(pair.files[0]), message.removeprefix(f"{pair.files[0]}: "))]
    return tuple(found)
