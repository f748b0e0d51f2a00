"""The part of the data that never changes from epoch to epoch: decoded, oriented, resized, and kept."""

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data.augment.geometry import center_crop
from pix2pix.data.cache.budget import ArraySpec, CacheBudget, cache_key, open_cache
from pix2pix.data.fingerprint import Fingerprint, fingerprint
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat
from pix2pix.data.formats.infer import infer_pair_formats
from pix2pix.data.images.decoded import resize
from pix2pix.data.pairs import Pair, find_pairs
from pix2pix.errors import DataError
from pix2pix.runtime.parallel import for_each

# What of a config does not change the pictures that are kept.
_NOT_KEPT = {"image_size", "load_size", "flip", "augment", "batch_size", "workers", "cache"}


class PairedDataset(Dataset):
    """Pairs of pictures as tensors, of one size or each of its own.

    `dataset[i]` is a dict: `input` and `target`, [C, H, W] as `forms` says, by default uint8 [3, H, W] in 0..255 (of
    stacked inputs the further ones are `input_2` and so on), `name` and `index`. `load_size`: (H, W), or None for each
    pair's own size; `central` cuts that size out of the middle instead of resizing. `cache`: `memory`
    and `disk` keep every decoded pair there, `off` decodes anew each time, `auto`
    chooses by `room` (see `open_cache`). `cached`: whether pairs are in memory; `cache_summary` says in words
    where they are. `cache_prefix` names the files of a cache. `skipped`: what is wrong with pairs that were left out.
    `files(i)` names the files of a pair.

    Usage: `PairedDataset.from_folder("data/facades", split="train", direction="b2a", load_size=286)`.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        load_size: tuple[int, int] | None,
        interpolation: str = "bicubic",
        cache: str = "auto",
        layout: str = "",
        center: bool = False,
        cache_prefix: str | None = None,
        room: CacheBudget | None = None,
        formats: PairFormat = RGB,
        skipped: Sequence[DataError] = (),
    ):
        self.pairs, self.load_size, self.interpolation, self.layout = pairs, load_size, interpolation, layout
        self.formats, self.skipped = formats, skipped
        self.center = center
        specs = [] if cache == "off" else self._specs()
        self._cache, self.cache_summary = open_cache(cache, specs, self._key, cache_prefix, room)

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
        return cls(pairs, size, layout=found, formats=infer_pair_formats(data, pairs))

    @property
    def bytes(self) -> int:
        """What the cache holds, or would hold; where pairs keep their sizes, by their headers. Raises DataError."""
        return sum(spec.nbytes for pair in self._specs() for spec in pair)

    @property
    def cached(self) -> bool:
        """Whether pairs are kept in memory."""
        return self._cache is not None and self._cache.where == "memory"

    def _specs(self) -> list[tuple[ArraySpec, ...]]:
        """What the arrays of each pair are. Raises DataError."""
        if self.load_size is not None:
            return [self._specs_of([self.load_size] * len(self.formats.parts))] * len(self.pairs)
        with ThreadPoolExecutor() as pool:
            headers = pool.map(lambda pair: pair.infos(), self.pairs)
            return [self._specs_of([header.size for header in some]) for some in headers]

    def _specs_of(self, sizes: Sequence[tuple[int, int]]) -> tuple[ArraySpec, ...]:
        formats = self.formats.parts.values()
        return tuple(ArraySpec((fmt.channels, *size), fmt.dtype) for fmt, size in zip(formats, sizes, strict=True))

    def _key(self) -> bytes:
        made = self.load_size, self.interpolation, self.center, self.formats.to_dict()
        recipe = (*made, PIL.__version__, np.__version__)
        return cache_key(self.pairs, repr(recipe))

    def prepare(self, progress: bool = False, known: bool = False) -> "PairedDataset":
        """Fills the cache; where there is none, reads every pair once: what is broken is found before training starts.

        Where they are `known` to be whole, as to a run that goes on, headers are enough without a cache. Raises
        DataError, naming the file, and Stopped. Returns itself.
        """
        if self._cache is not None:
            self._cache.prepare(self._read, progress)
        else:
            look = (lambda index: self.pairs[index].infos()) if known else self._read
            for_each(look, range(len(self.pairs)), progress=progress)
        return self

    def _read(self, index: int) -> list[np.ndarray]:
        images = self.pairs[index].read(self.formats)
        if self.load_size is not None:
            formats = self.formats.parts.values()
            images = [self._fit(image, fmt) for image, fmt in zip(images, formats, strict=True)]
        # Copies: what is read-only, or a view of both halves, is not kept.
        arrays = [np.array(image.transpose(2, 0, 1), order="C") for image in images]  # [C, H, W]
        if self._cache is not None and [array.shape for array in arrays] != [s.shape for s in self._cache.specs[index]]:
            raise DataError(f"{', '.join(self.files(index))}: has changed since it was first looked at; start again")
        return arrays

    def _fit(self, image: np.ndarray, fmt: ImageFormat) -> np.ndarray:
        if self.center:
            return center_crop(image, self.load_size)
        return resize(image, self.load_size, fmt.interpolation or self.interpolation, fmt.alpha)

    def fingerprint(self) -> Fingerprint:
        """Tell whether a later run sees the same pairs. Raises DataError."""
        return fingerprint(self.pairs)

    def files(self, index: int) -> list[str]:
        """The files of a pair, or its name where it is drawn."""
        pair = self.pairs[index]
        return [str(path) for path in pair.files] or [pair.name]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor | str | int]:
        cache = self._cache
        images = map(torch.from_numpy, self._read(index)) if cache is None else cache.get(index, self._read)
        named = dict(zip(self.formats.parts, images, strict=True))
        return {**named, "name": self.pairs[index].name, "index": index}


def open_split(
    data: DataConfig,
    split: str,
    size: tuple[int, int] | None,
    room: CacheBudget | None = None,
    formats: PairFormat | None = None,
) -> PairedDataset:
    """A split of the data set that a config names, resized to `size` (H, W), or each pair's own.

    `room`: what caches may take; to be shared by the splits of a run. `forms`: what the pictures are, where that is
    known already; else these pairs are asked. Raises DataError, and Stopped, which is asked
    where every pair is read (`skip_broken`).
    """
    return _open(data, split, size, False, room, formats)


def open_eval_split(
    data: DataConfig, split: str, room: CacheBudget | None = None, formats: PairFormat | None = None
) -> PairedDataset:
    """A split as it is validated on and sampled: whole pictures resized to `image_size`; where training keeps their own
    size (`load_size: native`), the middle `image_size` of each, since resized ones would be unlike any that it saw.

    `room`, `forms` and `stop` as for `open_split`. Raises DataError and Stopped.
    """
    return _open(data, split, data.crop, data.load is None, room, formats)


def _open(
    data: DataConfig,
    split: str,
    size: tuple[int, int] | None,
    center: bool,
    room: CacheBudget | None,
    formats: PairFormat | None,
) -> PairedDataset:
    layout, pairs = find_pairs(data, split, size or data.crop)
    formats = formats or infer_pair_formats(data, pairs)
    pairs, skipped = _drop_corrupt(pairs, formats) if data.skip_broken else (pairs, [])
    cache_prefix = _family(data, split, size, center)
    return PairedDataset(
        pairs, size, data.interpolation, data.cache, layout, center, cache_prefix, room, formats, skipped
    )


def _drop_corrupt(pairs: Sequence[Pair], formats: PairFormat) -> tuple[list[Pair], list[DataError]]:
    """The pairs that can be read, and what is wrong with the others. Raises DataError where none can, and Stopped."""
    wrong: dict[int, DataError] = {}

    def look(index: int) -> None:
        try:
            pairs[index].read(formats)
        except DataError as error:
            wrong[index] = error

    for_each(look, range(len(pairs)), progress=False)
    skipped = [wrong[index] for index in sorted(wrong)]
    if len(skipped) == len(pairs):
        raise skipped[0]
    return [pair for index, pair in enumerate(pairs) if index not in wrong], skipped


def _family(data: DataConfig, split: str, size: tuple[int, int] | None, center: bool) -> str:
    """What cache files of this split, made in this way, are called; when its files change, the old one is removed."""
    root = os.path.realpath(data.root or "")
    settings = (root, split, size, center, data.model_dump(mode="json", exclude={"root", *_NOT_KEPT}))
    name = re.sub(r"[^\w-]", "_", os.path.basename(root) if data.root else data.layout)[:40]
    return f"{name}-{split}-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}-"


def validation_split(splits: Sequence[str]) -> str | None:
    """The split to validate on: val, or test where a data set has no val, or none."""
    return next((split for split in ("val", "test") if split in splits), None)
