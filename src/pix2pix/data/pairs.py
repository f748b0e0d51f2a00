"""Finds the pairs of a data set and reads them. A and B end here: a pair has an `input` and a `target`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pix2pix.config import DataConfig
from pix2pix.data.discovery.folders import SPLITS, Unmatched
from pix2pix.data.discovery.layouts import FolderLayout, find_layout, is_validation_key, source_label
from pix2pix.data.formats.convert import decode
from pix2pix.data.formats.image_format import RGB, PairFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.files import read_image, read_info
from pix2pix.data.images.info import ImageInfo
from pix2pix.datasets.synthetic.draw import draw_pair
from pix2pix.errors import DataError

_FAR = 1_000_000  # splits of drawn facades start this far apart, so that they never share one


class _Pair:
    """What pairs have in common: `name`, `files`, and of the inputs and then the target `names`, to blame in errors,
    `infos()`, what their files say of them, and `images()`, as they lie."""

    def read(self, formats: PairFormat = RGB) -> list[np.ndarray]:
        """The inputs and then the target, [H, W, C] each, of one size and as `forms` says. Raises DataError."""
        parts = zip(formats.parts.items(), self.images(), self.names, strict=True)
        return [
            decode(fmt, picture, name, f"data.{'target' if key == 'target' else 'input'}_format")
            for (key, fmt), picture, name in parts
        ]


@dataclass(frozen=True)
class SideBySidePair(_Pair):
    """One file, A in its left half and B in its right."""

    name: str
    path: Path
    direction: str

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def names(self) -> tuple[Path, ...]:
        return (self.path,) * 2

    def infos(self) -> list[ImageInfo]:
        """What the file says of input and target, pixels unread. Raises DataError where it has no two halves."""
        header = read_info(self.path)
        height, width = header.size
        _require_halves(self.path, width)
        return [replace(header, size=(height, width // 2))] * 2

    def images(self) -> list[DecodedImage]:
        """Input and target as they lie. Raises DataError."""
        both = read_image(self.path)
        width = both.pixels.shape[1]
        _require_halves(self.path, width)
        halves = both.pixels[:, : width // 2], both.pixels[:, width // 2 :]
        return [replace(both, pixels=half) for half in (halves if self.direction == "a2b" else halves[::-1])]


@dataclass(frozen=True)
class FilesPair(_Pair):
    """A file for each input, and the target's, of one stem."""

    name: str
    files: tuple[Path, ...]

    @property
    def names(self) -> tuple[Path, ...]:
        return self.files

    def infos(self) -> list[ImageInfo]:
        """What the files say of themselves, pixels unread. Raises DataError where their sizes differ."""
        found = [read_info(file) for file in self.files]
        self._require_one_size([header.size for header in found])
        return found

    def images(self) -> list[DecodedImage]:
        """Inputs and target as they lie. Raises DataError where their sizes differ."""
        found = [read_image(file) for file in self.files]
        self._require_one_size([picture.pixels.shape[:2] for picture in found])
        return found

    def _require_one_size(self, sizes: Sequence[tuple[int, int]]) -> None:
        for file, (height, width) in zip(self.files, sizes, strict=True):
            if (height, width) != sizes[-1]:
                remedy = "the pictures of a pair must have one size: resize one, or remove the pair"
                turned = [some for some in (file, self.files[-1]) if read_info(some).turned]
                if len(turned) == 1 and (width, height) == sizes[-1]:  # resizing would distort
                    remedy = f"{turned[0]} is turned by its EXIF orientation: remove that tag, or turn the partner"
                raise DataError(
                    f"is {width}x{height} but {self.files[-1]} is {sizes[-1][1]}x{sizes[-1][0]}",
                    path=file,
                    remedy=remedy,
                    code="unequal-size",
                )


@dataclass(frozen=True)
class SyntheticPair(_Pair):
    """A facade that is drawn, not read: A the photograph, B the label map."""

    name: str
    index: int
    seed: int
    size: tuple[int, int]
    direction: str
    files: tuple[Path, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) * 2

    def infos(self) -> list[ImageInfo]:
        """Of input and target."""
        return [ImageInfo(self.size, 3, "uint8")] * 2

    def images(self) -> list[DecodedImage]:
        """Input and target."""
        drawn = draw_pair(self.index, self.seed, self.size)
        return [DecodedImage(pixels) for pixels in (drawn if self.direction == "a2b" else drawn[::-1])]


Pair = SideBySidePair | FilesPair | SyntheticPair


def _require_halves(path: Path, width: int) -> None:
    if width % 2 or width < 2:
        raise DataError(
            f"is {width} pixels wide, which has no two halves",
            path=path,
            remedy="it should hold A and B side by side",
            code="no-halves",
        )


def _drawn(data: DataConfig, split: str, size: tuple[int, int]) -> list[Pair]:
    start = SPLITS.index(split) * _FAR
    return [
        SyntheticPair(f"{split}_{i:04d}", start + i, data.synthetic.seed, size, data.direction or "a2b")
        for i in range(getattr(data.synthetic, split))
    ]


@contextmanager
def _listing(root: str | None) -> Iterator[None]:
    """Turns what can go wrong while looking through a data set's folders into one DataError that names them."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be looked into ({error.strerror}); mend data.root") from None


def available_splits(data: DataConfig, beside: Unmatched | None = None) -> list[str]:
    """Which of train, val and test a data set has: on disk, else as `val_fraction` picks them by name.

    Raises DataError where there is no such data set; `beside` as for `find_pairs`.
    """
    if data.layout == "synthetic":
        return list(SPLITS)
    with _listing(data.root):
        found = find_layout(data, beside)
        if not found.hashed or found.is_empty:
            return found.splits
        picked = {_split_of(key, data) for key in found.listing("train", beside).keys.values()}
        return [split for split in SPLITS if split in picked]


def _split_of(key: str, data: DataConfig) -> str:
    return "val" if is_validation_key(key, data.val_fraction) else "train"


def find_pairs(
    data: DataConfig, split: str, size: tuple[int, int], beside: Unmatched | None = None
) -> tuple[str, Sequence[Pair]]:
    """The layout in words and the pairs of a split, in the order of their names; `size` (H, W) is what drawn ones have.

    Raises DataError: no root, no such split, no pairs in it, pictures without a partner, two of one name, several ways
    to read what is there. With `beside`, pictures without a partner, of one name or listed and missing are put there.
    """
    if data.layout == "synthetic":
        return "synthetic", _drawn(data, split, size)
    with _listing(data.root):
        found = find_layout(data, beside)
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
            f"{source_label(data)}: what it holds is called input and target, which data.direction b2a contradicts; "
            "leave data.direction out, or --set data.direction=null"
        )
    direction = data.direction or "a2b"
    return listing.layout, [_pair(name, paths, direction) for name, paths in files.items()]


def _nothing_picked(data: DataConfig, split: str, count: int) -> None:
    start = (
        f"{source_label(data)}: has no split on disk, so its {count} pairs are picked by their names for train and val"
    )
    if split == "test":
        raise DataError(f"{start}, and there is no test; give another split, or make a folder test")
    raise DataError(f"{start}, and none falls to {split} at data.val_fraction {data.val_fraction:g}; change it")


def _pair(name: str, paths: tuple[Path, ...], direction: str) -> Pair:
    if len(paths) == 1:
        return SideBySidePair(name, *paths, direction)
    return FilesPair(name, paths if direction == "a2b" else paths[::-1])


def describe_layout(data: DataConfig, split: str = "train", beside: Unmatched | None = None) -> str:
    """Where the inputs and the targets of a split are, and what makes the splits where none is on disk.

    Raises DataError; `beside` as for `find_pairs`.
    """
    with _listing(data.root):
        found = find_layout(data, beside)
        folders, hashed = found.folders(split), found.hashed
    root = Path(data.root or "")
    sides = [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in folders]
    sides = sides if len(sides) > 1 else [f"{half} half" for half in ("left", "right")]
    *inputs, target = sides[::-1] if data.direction == "b2a" else sides
    words = f"input {' + '.join(inputs)}, target {target}" if folders else "input and target as listed"
    if hashed:
        words += f"; no split on disk: data.val_fraction {data.val_fraction:g} to validate on, picked by name"
    return words


def at_another_place(data: DataConfig, root: str) -> DataConfig:
    """The settings with the pairs of another folder or manifest, whatever layout that has. Raises DataError."""
    data = data.model_copy(update={"root": root, "layout": "auto", "manifest": None})
    with _listing(root):
        if data.input and (not os.path.isdir(root) or FolderLayout(data).is_empty):
            data = data.model_copy(update={"input": None, "target": None})
        if find_layout(data).has_named_roles:
            data = data.model_copy(update={"direction": None})
    return data
