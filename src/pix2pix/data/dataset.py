"""The part of the data that never changes from epoch to epoch: decoded, oriented, resized, and kept."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pix2pix.config import DataConfig
from pix2pix.data.cache import Room, Side, cache_key, open_cache
from pix2pix.data.images import resize
from pix2pix.data.pairs import Pair, find_pairs
from pix2pix.data.threads import for_each

# What of a config does not change the pictures that are kept.
_NOT_KEPT = {"image_size", "load_size", "flip", "batch_size", "workers", "cache"}


class PairedDataset(Dataset):
    """Pairs of pictures as uint8 tensors of one size.

    `dataset[i]` is a dict: `input` and `target`, uint8 [3, H, W] in 0..255, `name` and `index`. `load_size`: (H, W), or
    None for each pair's own size, and then none is kept. `cache`: `memory` and `disk` keep every decoded pair there,
    `off` decodes anew each time, `auto` chooses by `room` (see `open_cache`). `cached`: whether pairs are in memory;
    `kept` says in words where they are. `family` names the files of a cache. `files(i)` names the files of a pair.

    Usage: `PairedDataset.from_folder("data/facades", split="train", direction="b2a", load_size=286)`.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        load_size: tuple[int, int] | None,
        interpolation: str = "bicubic",
        cache: str = "auto",
        layout: str = "",
        family: str | None = None,
        room: Room | None = None,
    ):
        self.pairs, self.load_size, self.interpolation, self.layout = pairs, load_size, interpolation, layout
        self._cache, self.kept = None, "off"
        if load_size is not None:
            self._cache, self.kept = open_cache(cache, [self._sides] * len(pairs), self._key, family, room)

    @classmethod
    def from_folder(
        cls,
        root: str | Path,
        split: str = "train",
        direction: str = "a2b",
        load_size: int | tuple[int, int] | None = None,
        layout: str = "auto",
    ) -> "PairedDataset":
        """The pairs of a folder (`find_pairs` says which layouts). Raises DataError."""
        size = (load_size, load_size) if isinstance(load_size, int) else load_size
        found, pairs = find_pairs(
            DataConfig(root=str(root), direction=direction, layout=layout), split, size or (256, 256)
        )
        return cls(pairs, size, layout=found)

    @property
    def bytes(self) -> int:
        """What the cache holds, or would hold."""
        return len(self.pairs) * sum(side.nbytes for side in self._sides) if self.load_size else 0

    @property
    def cached(self) -> bool:
        """Whether pairs are kept in memory."""
        return self._cache is not None and self._cache.where == "memory"

    @property
    def _sides(self) -> tuple[Side, Side]:
        return (Side((3, *self.load_size), "uint8"),) * 2

    def _key(self) -> bytes:
        recipe = (self.interpolation, self._sides, PIL.__version__, np.__version__)
        return cache_key(self.pairs, repr(recipe))

    def prepare(self, progress: bool = False) -> "PairedDataset":
        """Fills the cache, or reads every header where there is none: what is broken is found before training starts.

        Raises DataError, naming the file. Returns itself.
        """
        if self._cache is None:
            for_each(len(self.pairs), lambda index: self.pairs[index].check(), progress)
        else:
            self._cache.prepare(self._read, progress)
        return self

    def _read(self, index: int) -> list[np.ndarray]:
        images = self.pairs[index].read()
        if self.load_size is not None:
            images = [resize(image, self.load_size, self.interpolation) for image in images]
        return [image.transpose(2, 0, 1).copy() for image in images]  # [3, H, W]

    def files(self, index: int) -> list[str]:
        """The files of a pair, or its name where it is drawn."""
        pair = self.pairs[index]
        return [str(path) for path in pair.files] or [pair.name]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor | str | int]:
        if self._cache is None:
            input, target = map(torch.from_numpy, self._read(index))
        else:
            input, target = self._cache.get(index, self._read)
        return {"input": input, "target": target, "name": self.pairs[index].name, "index": index}


def open_split(data: DataConfig, split: str, size: tuple[int, int] | None, room: Room | None = None) -> PairedDataset:
    """A split of the data set that a config names, resized to `size` (H, W), or each pair's own. Raises DataError.

    `room`: what caches may take; to be shared by the splits of a run.
    """
    layout, pairs = find_pairs(data, split, size or data.crop)
    return PairedDataset(pairs, size, data.interpolation, data.cache, layout, _family(data, split, size), room)


def _family(data: DataConfig, split: str, size: tuple[int, int] | None) -> str:
    """What cache files of this split, made in this way, are called; when its files change, the old one is removed."""
    root = os.path.realpath(data.root or "")
    settings = (root, split, size, data.model_dump(mode="json", exclude={"root", *_NOT_KEPT}))
    name = re.sub(r"[^\w-]", "_", os.path.basename(root) if data.root else data.layout)[:40]
    return f"{name}-{split}-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}-"


def validation_split(splits: Sequence[str]) -> str | None:
    """The split to validate on: val, or test where a data set has no val, or none."""
    return next((split for split in ("val", "test") if split in splits), None)
