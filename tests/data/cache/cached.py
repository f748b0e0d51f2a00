"""What the cache tests share."""

from pathlib import Path

import numpy as np
import pytest

from pix2pix.config import DataConfig
from pix2pix.data.cache.budget import cache_folder
from pix2pix.data.dataset import PairedDataset, open_split

COUNT, SIZE = 9, (24, 19)


def opened(root: Path, cache: str = "disk", split: str = "train", size=SIZE, **settings) -> PairedDataset:
    return open_split(
        DataConfig(**{"layout": "side-by-side", "root": str(root), "cache": cache, **settings}), split, size
    )


def pixels(data: PairedDataset) -> list[np.ndarray]:
    return [np.stack([pair["input"], pair["target"]]) for pair in (data[i] for i in range(len(data)))]


def same(one: list, other: list) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def files() -> list[Path]:
    """All files in the cache folder, hidden ones too."""
    return sorted(path for path in cache_folder().rglob("*") if path.is_file() and path.suffix != ".lock")


def unreadable(monkeypatch) -> None:
    """From now on, a pair that is read from its own files fails the test."""
    monkeypatch.setattr(PairedDataset, "_read", lambda self, index: pytest.fail(f"pair {index} was decoded"))
