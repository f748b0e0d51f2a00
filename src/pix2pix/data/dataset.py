"""The part of the data that never changes from epoch to epoch: decoded, oriented, resized, and kept in memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data.geometry import central_crop
from pix2pix.data.images import image_size, resize
from pix2pix.data.pairs import Pair, find_pairs

_SHARE_OF_FREE_MEMORY = 0.25


class PairedDataset(Dataset):
    """Pairs of pictures as uint8 tensors, of one size or each of its own.

    `dataset[i]` is a dict: `input` and `target`, uint8 [3, H, W] in 0..255, `name` and `index`. `load_size`: (H, W), or
    None for each pair's own size; `central` cuts that size out of the middle instead of resizing. `cache`: `memory`
    keeps every decoded pair, `auto` does where that takes at most a quarter of the free memory, `off` decodes anew each
    time. `files(i)` names the files of a pair.

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
    ):
        self.pairs, self.load_size, self.interpolation, self.layout = pairs, load_size, interpolation, layout
        self.central = central
        self._cache: Tensor | list[Tensor] | None = None  # N of [2, 3, H, W] once `prepare` has filled it
        self.cached = cache != "off" and (cache == "memory" or self._fits())

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
            return len(self.pairs) * 6 * self.load_size[0] * self.load_size[1]
        with ThreadPoolExecutor() as pool:
            return sum(pool.map(_decoded_bytes, self.pairs))

    def _fits(self) -> bool:
        return self.bytes <= _SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available

    def prepare(self, progress: bool = False) -> "PairedDataset":
        """Fills the cache, or reads every header where there is none: what is broken is found before training starts.

        Raises DataError, naming the file. Returns itself.
        """
        if self._cache is not None:
            return self
        count, size = len(self.pairs), self.load_size
        if self.cached:
            cache = [None] * count if size is None else torch.empty((count, 2, 3, *size), dtype=torch.uint8)
        bar = tqdm(total=len(self.pairs), desc="reading pairs", leave=False, disable=None if progress else True)

        def one(index: int) -> None:
            if self.cached:
                cache[index] = self._read(index)
            else:
                self.pairs[index].check()

        pool = ThreadPoolExecutor()  # decoders release the interpreter's lock
        try:
            for _ in pool.map(one, range(len(self.pairs))):
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)
            bar.close()
        if self.cached:
            self._cache = cache
        return self

    def _read(self, index: int) -> Tensor:
        images = self.pairs[index].read()
        if self.load_size is not None:
            fit = central_crop if self.central else partial(resize, interpolation=self.interpolation)
            images = [fit(image, self.load_size) for image in images]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # [2, 3, H, W]

    def files(self, index: int) -> list[str]:
        """The files of a pair, or its name where it is drawn."""
        pair = self.pairs[index]
        return [str(path) for path in pair.files] or [pair.name]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor | str | int]:
        input, target = self._read(index) if self._cache is None else self._cache[index]
        return {"input": input, "target": target, "name": self.pairs[index].name, "index": index}


def _decoded_bytes(pair: Pair) -> int:
    sizes = [image_size(path) for path in pair.files] or [(pair.size[0], 2 * pair.size[1])]
    return sum(3 * height * width for height, width in sizes)


def open_split(data: DataConfig, split: str, size: tuple[int, int] | None) -> PairedDataset:
    """A split of the data set that a config names, resized to `size` (H, W), or each pair's own. Raises DataError."""
    layout, pairs = find_pairs(data, split, size or data.crop)
    return PairedDataset(pairs, size, data.interpolation, data.cache, layout)


def open_fixed(data: DataConfig, split: str) -> PairedDataset:
    """A split as it is validated on and sampled: whole pictures resized to `image_size`; where training keeps their own
    size (`load_size: native`), the middle `image_size` of each, since resized ones would be unlike any that it saw.

    Raises DataError.
    """
    layout, pairs = find_pairs(data, split, data.crop)
    return PairedDataset(pairs, data.crop, data.interpolation, data.cache, layout, central=data.load is None)


def validation_split(splits: Sequence[str]) -> str | None:
    """The split to validate on: val, or test where a data set has no val, or none."""
    return next((split for split in ("val", "test") if split in splits), None)
