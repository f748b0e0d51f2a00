"""Pairs as tensors, decoded, resized and cached: the part of preprocessing that is the same in every epoch."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
import torch
from torch.utils.data import Dataset

from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data.augment.geometry import center_crop
from pix2pix.data.cache.budget import CacheBudget, open_cache
from pix2pix.data.cache.memory import ArraySpec
from pix2pix.data.fingerprint import Fingerprint, cache_key, fingerprint
from pix2pix.data.formats.convert import resized
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat
from pix2pix.data.index import DatasetIndex
from pix2pix.data.infer import infer_pair_formats
from pix2pix.data.pairs import Pair
from pix2pix.errors import DataError
from pix2pix.runtime.parallel import for_each

_T = TypeVar("_T")
# Keys of a config that do not affect the cached arrays.
_NOT_CACHED = {"image_size", "load_size", "flip", "augment", "batch_size", "workers", "cache", "max_pixels"}


class PairedDataset(Dataset[dict[str, Any]]):
    """Pairs of images as tensors, all of one size or each of its own.

    `dataset[i]` is a dict: `input` and `target`, [C, H, W] as `formats` says, by default uint8 [3, H, W] in 0..255
    (further stacked inputs are `input_2` and so on), `name` and `index`.

    `load_size`: (H, W), or None for each pair's own size; with `center` pairs are cropped to that size from the middle
    instead of being resized. `cache`: `memory`, `disk` or `off`, or `auto`, which chooses within `budget`;
    `cache_state` is the choice. The names of cache files start with `cache_prefix`. `skip_broken` drops pairs that
    cannot be read, and `skipped` lists their errors. Raises DataError.

    Usage: `PairedDataset.from_folder("data/facades", split="train", direction="b2a", load_size=286)`.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        load_size: tuple[int, int] | None,
        interpolation: str = "bicubic",
        *,
        formats: PairFormat = RGB,
        center: bool = False,
        layout: str = "",
        cache: str = "auto",
        cache_prefix: str | None = None,
        budget: CacheBudget | None = None,
        skip_broken: bool = False,
    ):
        self.load_size, self.interpolation, self.layout = load_size, interpolation, layout
        self.formats, self.center = formats, center
        self.skipped: list[DataError] = []
        self._candidates = pairs
        if skip_broken and load_size is None:  # the size of the cache depends on the infos
            errors: dict[int, DataError] = {}
            for_each(_recording(lambda position: pairs[position].infos(), errors), range(len(pairs)), progress=False)
            self._candidates = [pairs[position] for position in self._readable(errors)]
        self.pairs = self._candidates
        self._positions: Sequence[int] = range(len(self.pairs))  # of each pair in the cache
        specs = [] if cache == "off" else self._specs()
        self._cache, self.cache_state = open_cache(cache, specs, self._key, cache_prefix, budget)
        self._is_prepared = False
        if skip_broken:
            self._drop_broken()

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
        formats: PairFormat | None = None,
    ) -> "PairedDataset":
        """Open the pairs of a folder or of a manifest, whatever their layout.

        By default `formats` are inferred from a sample of the pairs. The other arguments are keys of a config's section
        `data`. Raises DataError, and ConfigError where the settings contradict each other.
        """
        size = (load_size, load_size) if isinstance(load_size, int) else load_size
        names = {"root": root, "input": input, "target": target, "manifest": manifest}
        settings: dict[str, Any] = {key: None if name is None else str(name) for key, name in names.items()}
        settings |= {"direction": direction, "layout": layout, "val_fraction": val_fraction}
        data = config_from_dict({"data": settings}, "from_folder").data
        index = DatasetIndex.scan(data)
        pairs = index.pairs(split, size or (256, 256))
        return cls(pairs, size, layout=index.layout(split).name, formats=formats or infer_pair_formats(data, pairs))

    @property
    def nbytes(self) -> int:
        """The size of a cache of all pairs. Raises DataError."""
        return sum(spec.nbytes for pair in self._specs() for spec in pair)

    def _specs(self) -> list[tuple[ArraySpec, ...]]:
        """Describe the arrays of each pair. Raises DataError."""
        if self.load_size is not None:
            return [self._specs_of([self.load_size] * len(self.formats.parts))] * len(self._candidates)
        with ThreadPoolExecutor() as pool:
            infos = pool.map(lambda pair: pair.infos(), self._candidates)
            return [self._specs_of([info.size for info in some]) for some in infos]

    def _specs_of(self, sizes: Sequence[tuple[int, int]]) -> tuple[ArraySpec, ...]:
        formats = self.formats.parts.values()
        return tuple(ArraySpec((fmt.channels, *size), fmt.dtype) for fmt, size in zip(formats, sizes, strict=True))

    def _key(self) -> bytes:
        recipe = self.load_size, self.interpolation, self.center, self.formats.to_dict()
        return cache_key(self._candidates, repr((*recipe, PIL.__version__, np.__version__)))

    def prepare(self, progress: bool = False, known: bool = False) -> "PairedDataset":
        """Fill the cache. Without a cache, read every pair once, so that a broken file is found before training starts.

        If the pairs are `known` to be intact, as when a run resumes, only their infos are read if there is no cache.
        Does nothing if `skip_broken` has read all pairs already. Raises DataError, naming the file, and Stopped.
        Returns the data set.
        """
        if self._is_prepared:
            return self
        if self._cache is not None:
            self._cache.prepare(self._read, progress)
        else:
            read: Callable[[int], object] = (
                (lambda position: self._candidates[position].infos()) if known else self._read
            )
            for_each(read, range(len(self._candidates)), progress=progress)
        return self

    def _drop_broken(self) -> None:
        """Read every pair, into the cache if there is one, and drop the pairs that cannot be read."""
        errors: dict[int, DataError] = {}
        read = _recording(self._read, errors)
        if self._cache is None:
            for_each(read, self._positions)
        else:
            self._cache.prepare(read, progress=True)
            for position in self._cache.empty_places():  # found in an earlier run; read again for the error
                if position not in errors:
                    read(position)
        self._positions = self._readable(errors)
        self.pairs = [self._candidates[position] for position in self._positions]
        self._is_prepared = True

    def _readable(self, errors: dict[int, DataError]) -> list[int]:
        """Record the errors in `skipped`; return the positions of the other pairs. Raises the first if all failed."""
        if errors and len(errors) == len(self._candidates):
            first = errors[min(errors)]
            reason = f"none of the {len(errors)} pairs can be read; of the first one: {first.reason}"
            raise DataError(reason, path=first.path, remedy=first.remedy, code=first.code)
        self.skipped += [errors[position] for position in sorted(errors)]
        return [position for position in range(len(self._candidates)) if position not in errors]

    def _read(self, position: int) -> list[np.ndarray]:
        pair = self._candidates[position]
        images = pair.read(self.formats)
        if self.load_size is not None:
            formats = self.formats.parts.values()
            images = [self._fit(image, fmt, self.load_size) for image, fmt in zip(images, formats, strict=True)]
        # Copied, since the arrays may be read-only, or views that keep both halves of an image in memory.
        arrays = [np.array(image.transpose(2, 0, 1), order="C") for image in images]  # [C, H, W]
        if self._cache is not None and [array.shape for array in arrays] != [
            s.shape for s in self._cache.specs[position]
        ]:
            raise DataError(f"{', '.join(_files(pair))}: has changed since the start; start again")
        return arrays

    def _fit(self, image: np.ndarray, fmt: ImageFormat, size: tuple[int, int]) -> np.ndarray:
        if self.center:
            return center_crop(image, size)
        return resized(fmt, image, size, self.interpolation)

    def fingerprint(self) -> Fingerprint:
        """Return the fingerprint of the pairs. Raises DataError."""
        return fingerprint(self.pairs)

    def files(self, index: int) -> list[str]:
        """Return the files of a pair, or the name of a drawn pair."""
        return _files(self.pairs[index])

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        position = self._positions[index]
        if self._cache is None:
            images = [torch.from_numpy(array) for array in self._read(position)]
        else:
            images = self._cache.get(position, self._read)
        named = dict(zip(self.formats.parts, images, strict=True))
        return {**named, "name": self.pairs[index].name, "index": index}


def open_split(
    data: DataConfig,
    split: str,
    size: tuple[int, int] | None,
    *,
    index: DatasetIndex | None = None,
    formats: PairFormat | None = None,
    budget: CacheBudget | None = None,
) -> PairedDataset:
    """Open a split of the data set that a config names, resized to `size` (H, W), or each pair at its own size.

    `index`: the index of the data set, if the disk was scanned already. By default `formats` are inferred from a sample
    of the pairs. `budget`: the space for caches, shared by the splits of a run. Raises DataError, and, with
    `skip_broken`, which reads every pair, Stopped.
    """
    return _open(data, split, size, False, index, formats, budget)


def open_eval_split(
    data: DataConfig,
    split: str,
    *,
    index: DatasetIndex | None = None,
    formats: PairFormat | None = None,
    budget: CacheBudget | None = None,
) -> PairedDataset:
    """Open a split for validation and sample grids: whole images, resized to `image_size`.

    With `load_size: native`, images are cropped to the middle `image_size` instead, since the generator has not seen
    resized images. The arguments are those of `open_split`.
    """
    return _open(data, split, data.crop, data.load is None, index, formats, budget)


def _open(
    data: DataConfig,
    split: str,
    size: tuple[int, int] | None,
    center: bool,
    index: DatasetIndex | None,
    formats: PairFormat | None,
    budget: CacheBudget | None,
) -> PairedDataset:
    index = index or DatasetIndex.scan(data)
    pairs = index.pairs(split, size or data.crop)
    return PairedDataset(
        pairs,
        size,
        data.interpolation,
        formats=formats or infer_pair_formats(data, pairs),
        center=center,
        layout=index.layout(split).name,
        cache=data.cache,
        cache_prefix=_cache_prefix(data, split, size, center),
        budget=budget,
        skip_broken=data.skip_broken,
    )


def _cache_prefix(data: DataConfig, split: str, size: tuple[int, int] | None, center: bool) -> str:
    """Return the prefix of the cache files of this split with these settings; older files with it are removed."""
    root = os.path.realpath(data.root or "")
    settings = (root, split, size, center, data.model_dump(mode="json", exclude={"root", *_NOT_CACHED}))
    name = re.sub(r"[^\w-]", "_", os.path.basename(root) if data.root else data.layout)[:40]
    return f"{name}-{split}-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}-"


def _recording(read: Callable[[int], Sequence[_T]], errors: dict[int, DataError]) -> Callable[[int], Sequence[_T]]:
    """Wrap `read`: a DataError is recorded in `errors` under its position, and an empty list is returned."""

    def tolerant(position: int) -> Sequence[_T]:
        try:
            return read(position)
        except DataError as error:
            errors[position] = error
            return []

    return tolerant


def _files(pair: Pair) -> list[str]:
    return [str(path) for path in pair.files] or [pair.name]
