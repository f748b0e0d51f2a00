"""Finds the pairs of a data set and reads them. A and B end here: a pair has an `input` and a `target`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pix2pix.config import DataConfig
from pix2pix.data.folders import SPLITS, Beside
from pix2pix.data.images import image_size, read_image
from pix2pix.data.layouts import FolderLayout, falls_to_val, find_layout, whereabouts
from pix2pix.data.synthetic import draw_pair
from pix2pix.errors import DataError

_FAR = 1_000_000  # splits of drawn facades start this far apart, so that they never share one


@dataclass(frozen=True)
class SideBySidePair:
    """One file, A in its left half and B in its right."""

    name: str
    path: Path
    direction: str

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def check(self) -> None:
        """Reads the header only; raises DataError where the file is no image or has no two halves."""
        height, width = image_size(self.path)
        if height % 2 or width % 2:  # an EXIF turn may swap them: only reading tells
            self.read()

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """(input, target), uint8 [H, W, 3] each. Raises DataError."""
        both = read_image(self.path)
        width = both.shape[1]
        _require_halves(self.path, width)
        a, b = both[:, : width // 2], both[:, width // 2 :]
        return (a, b) if self.direction == "a2b" else (b, a)


@dataclass(frozen=True)
class TwoFilePair:
    """Two files of one stem."""

    name: str
    input: Path
    target: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.input, self.target)

    def check(self) -> None:
        """Reads the headers only; raises DataError where one is no image or their sizes differ."""
        if image_size(self.input) != image_size(self.target):  # unless an EXIF turn makes them one: only reading tells
            self.read()

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """(input, target), uint8 [H, W, 3] each, of one size. Raises DataError."""
        input, target = read_image(self.input), read_image(self.target)
        if input.shape != target.shape:
            sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (input, target)]
            raise DataError(
                f"{self.input} is {sizes[0]} but {self.target} is {sizes[1]}; the pictures of a pair must have one "
                "size: resize one, or remove the pair"
            )
        return input, target


@dataclass(frozen=True)
class DrawnPair:
    """A facade that is drawn, not read: A the photograph, B the label map."""

    name: str
    index: int
    seed: int
    size: tuple[int, int]
    direction: str
    files: tuple[Path, ...] = ()

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """(input, target), uint8 [H, W, 3] each."""
        a, b = draw_pair(self.index, self.seed, self.size)
        return (a, b) if self.direction == "a2b" else (b, a)


Pair = SideBySidePair | TwoFilePair | DrawnPair


def _require_halves(path: Path, width: int) -> None:
    if width % 2 or width < 2:
        raise DataError(f"{path}: is {width} pixels wide, which has no two halves; it should hold A and B side by side")


def _drawn(data: DataConfig, split: str, size: tuple[int, int]) -> list[Pair]:
    start = SPLITS.index(split) * _FAR
    return [
        DrawnPair(f"{split}_{i:04d}", start + i, data.synthetic.seed, size, data.direction or "a2b")
        for i in range(getattr(data.synthetic, split))
    ]


@contextmanager
def _listing(root: str | None) -> Iterator[None]:
    """Turns what can go wrong while looking through a data set's folders into one DataError that names them."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be looked into ({error.strerror}); mend data.root") from None


def available_splits(data: DataConfig, beside: Beside | None = None) -> list[str]:
    """Which of train, val and test a data set has: on disk, else as `val_fraction` picks them by name.

    Raises DataError where there is no such data set; `beside` as for `find_pairs`.
    """
    if data.layout == "synthetic":
        return list(SPLITS)
    with _listing(data.root):
        found = find_layout(data)
        if not found.hashed or found.is_empty:
            return found.splits
        picked = {_split_of(key, data) for key in found.listing("train", beside).keys.values()}
        return [split for split in SPLITS if split in picked]


def _split_of(key: str, data: DataConfig) -> str:
    return "val" if falls_to_val(key, data.val_fraction) else "train"


def find_pairs(
    data: DataConfig, split: str, size: tuple[int, int], beside: Beside | None = None
) -> tuple[str, Sequence[Pair]]:
    """The layout in words and the pairs of a split, in the order of their names; `size` (H, W) is what drawn ones have.

    Raises DataError: no root, no such split, no pairs in it, pictures without a partner, two of one name, several ways
    to read what is there. With `beside`, pictures without a partner and those of one name are put there instead.
    """
    if data.layout == "synthetic":
        return "synthetic", _drawn(data, split, size)
    with _listing(data.root):
        found = find_layout(data)
        listing = found.listing(split, beside)
        files = listing.files
        if files and found.hashed:
            files = {name: paths for name, paths in files.items() if _split_of(listing.keys[name], data) == split}
            if not files:
                _nothing_picked(data, split, len(listing.files))
    if not files:
        places = " and ".join(map(str, found.folders(split)))
        raise DataError(f"{places}: holds no pairs; put pictures there or set data.layout")
    if listing.named and data.direction == "b2a":
        raise DataError(
            f"{whereabouts(data)}: what it holds is called input and target, which data.direction b2a contradicts; "
            "leave data.direction out, or --set data.direction=null"
        )
    direction = data.direction or "a2b"
    return listing.layout, [_pair(name, paths, direction) for name, paths in files.items()]


def _nothing_picked(data: DataConfig, split: str, count: int) -> None:
    start = (
        f"{whereabouts(data)}: has no split on disk, so its {count} pairs are picked by their names for train and val"
    )
    if split == "test":
        raise DataError(f"{start}, and there is no test; give another split, or make a folder test")
    raise DataError(f"{start}, and none falls to {split} at data.val_fraction {data.val_fraction:g}; change it")


def _pair(name: str, paths: tuple[Path, ...], direction: str) -> Pair:
    if len(paths) == 1:
        return SideBySidePair(name, *paths, direction)
    return TwoFilePair(name, *(paths if direction == "a2b" else paths[::-1]))


def describe_layout(data: DataConfig, split: str = "train") -> str:
    """Where the inputs and the targets of a split are, and what makes the splits where none is on disk."""
    with _listing(data.root):
        found = find_layout(data)
        folders, hashed = found.folders(split), found.hashed
    root = Path(data.root or "")
    sides = [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in folders]
    sides = sides if len(sides) > 1 else [f"{half} half" for half in ("left", "right")]
    input, target = sides[::-1] if data.direction == "b2a" else sides
    words = f"input {input}, target {target}" if folders else "input and target as listed"
    if hashed:
        words += f"; no split on disk: data.val_fraction {data.val_fraction:g} to validate on, picked by name"
    return words


def at_another_place(data: DataConfig, root: str) -> DataConfig:
    """The settings with the pairs of another folder or manifest, whatever layout that has. Raises DataError."""
    data = data.model_copy(update={"root": root, "layout": "auto", "manifest": None})
    with _listing(root):
        if data.input and (not os.path.isdir(root) or FolderLayout(data).is_empty):
            data = data.model_copy(update={"input": None, "target": None})
        if find_layout(data).says_input:
            data = data.model_copy(update={"direction": None})
    return data
