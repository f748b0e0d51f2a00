"""The part of the data that never changes from epoch to epoch: decoded, oriented, resized, and kept."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data.cache import Room, Side, cache_key, open_cache, open_native
from pix2pix.data.geometry import central_crop
from pix2pix.data.images import image_size, resize
from pix2pix.data.pairs import Pair, find_pairs
from pix2pix.data.threads import for_each
from pix2pix.runtime.signals import Stopped

# What of a config does not change the pictures that are kept.
_NOT_KEPT = {"image_size", "load_size", "flip", "augment", "batch_size", "workers", "cache"}


class PairedDataset(Dataset):
    """Pairs of pictures as uint8 tensors, of one size or each of its own.

    `dataset[i]` is a dict: `input` and `target`, uint8 [3, H, W] in 0..255, `name` and `index`. `load_size`: (H, W), or
    None for each pair's own size; `central` cuts that size out of the middle instead of resizing. `cache`: `memory`
    and `disk` keep every decoded pair there (of their own size, in memory only), `off` decodes anew each time, `auto`
    chooses by `room` (see `open_cache`). `cached`: whether pairs are in memory; `kept` says in words where they are.
    `family` names the files of a cache. `files(i)` names the files of a pair.

    Usage: `PairedDataset.from_folder("data/facades", split="train", direction="b2a", load_size=286)`.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        load_size: tuple[int, int] | None,
        interpolation: str = "bicubic",
        cache: str = "auto",
        layout: str = "",
        central: bool = False,
        family: str | None = None,
        room: Room | None = None,
    ):
        self.pairs, self.load_size, self.interpolation, self.layout = pairs, load_size, interpolation, layout
        self.central = central
        if load_size is None:
            self._cache, self.kept = open_native(cache, len(pairs), lambda: self.bytes, room)
        else:
            self._cache, self.kept = open_cache(cache, [self._sides] * len(pairs), self._key, family, room)

    @classmethod
    def from_folder(
        cls,
        root: str | Path | None = None,
        split: str = "train",
        direction: str | None = None,
        load_size: int | tuple[int, int] | None = None,
        layout: str = "auto",
        *,
        input: str | None = None,
        target: str | None = None,
        manifest: str | None = None,
        val_fraction: float = 0.1,
    ) -> "PairedDataset":
        """The pairs of a folder or of a manifest, whatever their layout; the rest as in the section `data` of a config.

        Raises DataError; ConfigError where the settings contradict each other.
        """
        size = (load_size, load_size) if isinstance(load_size, int) else load_size
        names = {"root": root, "input": input, "target": target, "manifest": manifest}
        settings = {key: None if name is None else str(name) for key, name in names.items()}
        settings |= {"direction": direction, "layout": layout, "val_fraction": val_fraction}
        data = config_from_dict({"data": settings}, "from_folder").data
        found, pairs = find_pairs(data, split, size or (256, 256))
        return cls(pairs, size, layout=found)

    @property
    def bytes(self) -> int:
        """What the cache holds, or would hold; where pairs keep their sizes, by their headers. Raises DataError."""
        if self.load_size is not None:
            return len(self.pairs) * sum(side.nbytes for side in self._sides)
        with ThreadPoolExecutor() as pool:
            return sum(pool.map(_decoded_bytes, self.pairs))

    @property
    def cached(self) -> bool:
        """Whether pairs are kept in memory."""
        return self._cache is not None and self._cache.where == "memory"

    @property
    def _sides(self) -> tuple[Side, Side]:
        return (Side((3, *self.load_size), "uint8"),) * 2

    def _key(self) -> bytes:
        recipe = (self.load_size, self.interpolation, self.central, self._sides, PIL.__version__, np.__version__)
        return cache_key(self.pairs, repr(recipe))

    def prepare(self, progress: bool = False, stop: Callable[[], bool] = lambda: False) -> "PairedDataset":
        """Fills the cache, or reads every header where there is none: what is broken is found before training starts.

        Raises DataError, naming the file, and Stopped once `stop()` is true. Returns itself.
        """

        def unless_stopped(index: int) -> list[np.ndarray] | None:
            if stop():
                raise Stopped
            return self.pairs[index].check() if self._cache is None else self._read(index)

        if self._cache is None:
            for_each(len(self.pairs), unless_stopped, progress)
        else:
            self._cache.prepare(unless_stopped, progress)
        return self

    def _read(self, index: int) -> list[np.ndarray]:
        images = self.pairs[index].read()
        if self.load_size is not None:
            fit = central_crop if self.central else partial(resize, interpolation=self.interpolation)
            images = [fit(image, self.load_size) for image in images]
        # Copies: what is read-only, or a view of both halves, is not kept.
        return [np.array(image.transpose(2, 0, 1), order="C") for image in images]  # [3, H, W]

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


def _decoded_bytes(pair: Pair) -> int:
    sizes = [image_size(path) for path in pair.files] or [(pair.size[0], 2 * pair.size[1])]
    return sum(3 * height * width for height, width in sizes)


def open_split(data: DataConfig, split: str, size: tuple[int, int] | None, room: Room | None = None) -> PairedDataset:
    """A split of the data set that a config names, resized to `size` (H, W), or each pair's own. Raises DataError.

    `room`: what caches may take; to be shared by the splits of a run.
    """
    return _open(data, split, size, False, room)


def open_fixed(data: DataConfig, split: str, room: Room | None = None) -> PairedDataset:
    """A split as it is validated on and sampled: whole pictures resized to `image_size`; where training keeps their own
    size (`load_size: native`), the middle `image_size` of each, since resized ones would be unlike any that it saw.

    `room` as for `open_split`. Raises DataError.
    """
    return _open(data, split, data.crop, data.load is None, room)


def _open(
    data: DataConfig, split: str, size: tuple[int, int] | None, central: bool, room: Room | None
) -> PairedDataset:
    layout, pairs = find_pairs(data, split, size or data.crop)
    family = _family(data, split, size, central)
    return PairedDataset(pairs, size, data.interpolation, data.cache, layout, central, family, room)


def _family(data: DataConfig, split: str, size: tuple[int, int] | None, central: bool) -> str:
    """What cache files of this split, made in this way, are called; when its files change, the old one is removed."""
    root = os.path.realpath(data.root or "")
    settings = (root, split, size, central, data.model_dump(mode="json", exclude={"root", *_NOT_KEPT}))
    name = re.sub(r"[^\w-]", "_", os.path.basename(root) if data.root else data.layout)[:40]
    return f"{name}-{split}-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}-"


def validation_split(splits: Sequence[str]) -> str | None:
    """The split to validate on: val, or test where a data set has no val, or none."""
    return next((split for split in ("val", "test") if split in splits), None)
