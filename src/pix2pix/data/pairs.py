"""Finds the pairs of a data set and reads them. A and B end here: a pair has an `input` and a `target`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pix2pix.config import DataConfig
from pix2pix.data.catalogue import download_command, names
from pix2pix.data.images import image_size, is_image, read_image
from pix2pix.data.synthetic import draw_pair
from pix2pix.errors import DataError

SPLITS = ("train", "val", "test")
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


def _by_name(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """In the order of the names. Raises DataError where two have the same."""
    found: dict[str, Path] = {}
    for name, path in sorted(named):
        if name in found:
            raise DataError(f"{found[name]} and {path} have one name; rename or remove one")
        found[name] = path
    return found


def _images_by_stem(folder: Path) -> dict[str, Path]:
    return _by_name((path.stem, path) for path in folder.iterdir() if path.is_file() and is_image(path))


def _subfolders(folder: Path) -> dict[str, Path]:
    """Those called a and b, or A and B."""
    return _by_name(
        (path.name.lower(), path) for path in folder.iterdir() if path.name.lower() in ("a", "b") and path.is_dir()
    )


def _layout(folder: Path) -> str:
    """Which layout a split's folder has, `side-by-side` or `two-folders`. Raises DataError where it cannot tell."""
    images = any(path.is_file() and is_image(path) for path in folder.iterdir())
    both = len(_subfolders(folder)) == 2
    if images and both:
        raise DataError(
            f"{folder}: holds pictures and also folders a and b; set data.layout to side-by-side or two-folders"
        )
    if not images and not both:
        raise DataError(
            f"{folder}: holds no pairs; it should hold pictures with A and B side by side, or two folders a and b"
        )
    return "two-folders" if both else "side-by-side"


def _two_folders(folder: Path, direction: str) -> list[Pair]:
    subfolders = _subfolders(folder)
    if missing := [name for name in ("a", "b") if name not in subfolders]:
        raise DataError(f"{folder / missing[0]}: no such folder; the layout two-folders needs a and b")
    a, b = _images_by_stem(subfolders["a"]), _images_by_stem(subfolders["b"])
    if lonely := [mine[stem] for mine, other in ((a, b), (b, a)) for stem in mine if stem not in other]:
        names = ", ".join(str(path) for path in lonely[:10]) + (f" and {len(lonely) - 10} more" if lonely[10:] else "")
        raise DataError(f"{folder}: {len(lonely)} without a partner of the same name: {names}; add or remove them")
    input, target = (a, b) if direction == "a2b" else (b, a)
    return [TwoFilePair(stem, input[stem], target[stem]) for stem in a]


def _side_by_side(folder: Path, direction: str) -> list[Pair]:
    return [SideBySidePair(stem, path, direction) for stem, path in _images_by_stem(folder).items()]


def _drawn(data: DataConfig, split: str, size: tuple[int, int]) -> list[Pair]:
    start = SPLITS.index(split) * _FAR
    return [
        DrawnPair(f"{split}_{i:04d}", start + i, data.synthetic.seed, size, data.direction)
        for i in range(getattr(data.synthetic, split))
    ]


@contextmanager
def _listing(root: str | None) -> Iterator[None]:
    """Turns what can go wrong while looking through a data set's folders into one DataError that names them."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be looked into ({error.strerror}); mend data.root") from None


def available_splits(data: DataConfig) -> list[str]:
    """Which of train, val and test a data set has, by its folders' names. Raises DataError where root is missing."""
    if data.layout == "synthetic":
        return list(SPLITS)
    with _listing(data.root):
        root = Path(data.root or "")
        if data.root is None or not root.is_dir():
            name, output = (root.name, root.parent) if root.name in names() else ("facades", "data")
            raise DataError(
                f"{data.root or 'data.root'}: no such folder; set data.root or pass --data with where your pairs are, "
                f"or get {'the facades' if name == 'facades' else name} with: {download_command(name, output)}"
            )
        return [split for split in SPLITS if (root / split).is_dir()]


def find_pairs(data: DataConfig, split: str, size: tuple[int, int]) -> tuple[str, Sequence[Pair]]:
    """The layout in words and the pairs of a split, in the order of their names; `size` (H, W) is what drawn ones have.

    Raises DataError: no root, no such split, no pairs in it, pictures without a partner, two of one name.
    """
    splits = available_splits(data)
    if data.layout == "synthetic":
        return "synthetic", _drawn(data, split, size)
    folder = Path(data.root) / split
    if split not in splits:
        raise DataError(
            f"{folder}: no such folder; {data.root} has {', '.join(splits) or 'no split (train, val, test)'}"
        )
    with _listing(data.root):
        layout = _layout(folder) if data.layout == "auto" else data.layout
        read = {"two-folders": _two_folders, "side-by-side": _side_by_side}[layout]
        pairs = read(folder, data.direction)
    if not pairs:
        raise DataError(f"{folder}: holds no pairs; put pictures there or set data.layout")
    return layout, pairs
