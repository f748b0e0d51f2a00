"""Data sets in every layout for the tests: where A and B are, and the pixels that they hold."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from making import noise, save, save_halves

from pix2pix.config import DataConfig
from pix2pix.data import PairedDataset
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import DataError

SIZE = (4, 6)
SPLITS = {"train": ["0", "deep/er/1", "x.y"], "val": ["7"], "test": ["8", "deep/9"]}
ALL = [name for names in SPLITS.values() for name in names]

# Where A and B of a pair lie, with {s} for the split and {n} for the name; one path is a picture side by side. Then the
# layout's name, and whether the folders say which is the input.
LAYOUTS = {
    "side-by-side": (["{s}/{n}.png"], "side-by-side", False),
    "split a": (["{s}/a/{n}.png", "{s}/b/{n}.png"], "two-folders", False),
    "split A": (["{s}/A/{n}.bmp", "{s}/B/{n}.PNG"], "two-folders", False),
    "A split": (["A/{s}/{n}.png", "B/{s}/{n}.png"], "two-folders", False),
    "a Split": (["a/{S}/{n}.png", "b/{S}/{n}.png"], "two-folders", False),
    "splitA": (["{s}A/{n}.png", "{s}B/{n}.png"], "two-folders", False),
    "split_a": (["{s}a/{n}.png", "{S}b/{n}.png"], "two-folders", False),
    "split input": (["{s}/input/{n}.png", "{s}/target/{n}.png"], "two-folders", True),
    "split Input": (["{s}/Input/{n}.png", "{s}/TARGET/{n}.png"], "two-folders", True),
    "input split": (["input/{s}/{n}.png", "target/{s}/{n}.png"], "two-folders", True),
}
WITHOUT_SPLIT = {
    "side-by-side": (["{n}.png"], "side-by-side", False),
    "a": (["a/{n}.png", "b/{n}.png"], "two-folders", False),
    "A": (["A/{n}.png", "B/{n}.png"], "two-folders", False),
    "input": (["input/{n}.png", "target/{n}.png"], "two-folders", True),
}


def pixels(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A and B of a pair."""
    seed = int(hashlib.md5(name.encode()).hexdigest()[:6], 16)
    return noise(*SIZE, seed), noise(*SIZE, seed + 1)


def make(root: Path, paths: list[str], names: dict[str, list[str]] = SPLITS) -> Path:
    for split, those in names.items():
        for name in those:
            files = [root / path.format(s=split, S=split.capitalize(), n=name) for path in paths]
            if len(files) == 1:
                save_halves(files[0], *pixels(name))
            else:
                for file, side in zip(files, pixels(name), strict=True):
                    save(file, side)
    return root


def check(data: PairedDataset, names: list[str], reverse: bool = False) -> None:
    """Exactly these pairs, in this order, the right way round."""
    assert [item["name"] for item in (data[i] for i in range(len(data)))] == sorted(names)
    for item in (data[i] for i in range(len(data))):
        a, b = pixels(item["name"])
        for side, want in zip(("input", "target"), (b, a) if reverse else (a, b), strict=True):
            np.testing.assert_array_equal(item[side].permute(1, 2, 0).numpy(), want)


def is_validation_key(name: str, fraction: float = 0.1) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) < fraction * 2**256


def message(**settings) -> str:
    """The one line with which finding the training pairs is refused."""
    data = DataConfig(**{key: str(value) if isinstance(value, Path) else value for key, value in settings.items()})
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(data).pairs("train", SIZE)
    assert "\n" not in str(caught.value)
    return str(caught.value)
