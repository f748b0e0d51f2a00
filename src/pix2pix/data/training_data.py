"""What a run trains and validates on: the splits of a config's data set, or data sets of one's own."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pix2pix.config import DataConfig
from pix2pix.data.cache.budget import CacheBudget
from pix2pix.data.dataset import open_eval_split, open_split, validation_split
from pix2pix.data.discovery.layouts import source_label
from pix2pix.data.fingerprint import Fingerprint
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.pairs import available_splits, describe_layout
from pix2pix.errors import DataError
from pix2pix.runtime.distributed import stopped_together
from pix2pix.runtime.parallel import for_each


class PairSource(Protocol):
    """Pairs as the loader and the evaluator read them; `PairedDataset` is one."""

    formats: PairFormat
    skipped: Sequence[DataError]
    cache_summary: str

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    def files(self, index: int) -> list[str]: ...
    def fingerprint(self) -> Fingerprint: ...
    def prepare(self, progress: bool = False, known: bool = False) -> "PairSource": ...


@dataclass(frozen=True)
class TrainingData:
    """The pairs of a run.

    `source` and `layout` describe where they come from. `val_name` names the split to validate on, "" where there is
    none. `open_sampled` opens the pairs that sample grids show where there are none to validate on.
    """

    train: PairSource
    val: PairSource | None
    val_name: str
    formats: PairFormat
    source: str
    layout: str
    open_sampled: Callable[[], PairSource]

    @property
    def sampled(self) -> PairSource:
        """The validation pairs, or training pairs where there are no others."""
        return self.open_sampled() if self.val is None else self.val

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """By split, what tells whether a later run sees the same pairs."""
        found = {"train": self.train.fingerprint()}
        return found if self.val is None else found | {"val": self.val.fingerprint()}

    def prepare(self, known: bool) -> None:
        """Read every pair once, into the cache where there is one; headers are enough where they are `known`.

        Raises DataError and Stopped, on all ranks together.
        """
        with stopped_together():
            for dataset in filter(None, (self.train, self.val)):
                dataset.prepare(progress=True, known=known)


def open_training_data(
    data: DataConfig,
    formats: PairFormat | None = None,
    train_data: Dataset[dict[str, Any]] | None = None,
    val_data: Dataset[dict[str, Any]] | None = None,
) -> TrainingData:
    """Open the training and validation pairs of a config, or those that are given instead.

    Raises DataError where there are none, or they are nothing that can be trained on; Stopped.
    """
    if train_data is not None:
        train = OwnPairs(train_data, "train_data", formats)
        val = None if val_data is None else OwnPairs(val_data, "val_data", train.formats)
        name = "val_data" if val else ""
        return TrainingData(train, val, name, train.formats, f"{type(train_data).__name__}", "", lambda: train)
    budget = CacheBudget()  # the splits share it
    split = validation_split(available_splits(data))
    with stopped_together():
        train = open_split(data, "train", data.load, budget, formats)
        formats = train.formats
        val = open_eval_split(data, split, budget, formats) if split else None
    drawn = data.layout == "synthetic"
    source = "drawn facades" if drawn else f"{source_label(data)}, {train.layout}"
    source += f", {data.direction}" if data.direction else ""
    layout = "" if drawn else describe_layout(data)
    return TrainingData(
        train, val, split or "", formats, source, layout, lambda: open_eval_split(data, "train", formats=formats)
    )


class OwnPairs:
    """A map-style data set of one's own: items are dicts of `input` and `target`, [C, H, W] of one size.

    Images are uint8 in 0..255 or float32 in [-1, 1] unless `formats` says otherwise. Raises DataError for an item that
    is anything else, naming it as `name[index]`.
    """

    cache_summary = "off: read by the data set itself"
    cached = False
    skipped: Sequence[DataError] = ()

    def __init__(self, items: Dataset[dict[str, Any]], name: str, formats: PairFormat | None = None):
        self.items, self.name = items, name
        self.layout = f"{type(items).__name__}, given as {name}"
        if not len(items):
            raise DataError(f"{name}: holds no pairs; give at least one")
        self.formats = formats or self._formats()
        self.size: tuple[int, int] | None = None

    def _formats(self) -> PairFormat:
        def one(key: str) -> ImageFormat:
            image = self._image(0, self.items[0], key)
            dtype = str(image.dtype).removeprefix("torch.")
            if dtype not in ("uint8", "float32"):
                raise DataError(f"{self.name}[0]: {key} is {dtype}; give uint8 in 0..255 or float32 in [-1, 1]")
            low_high = (0.0, 255.0) if dtype == "uint8" else (-1.0, 1.0)
            return ImageFormat(channels=len(image), dtype=dtype, range=low_high)

        return PairFormat((one("input"),), one("target"))

    def _image(self, index: int, item: Any, key: str) -> Tensor:
        if not isinstance(item, dict) or key not in item:
            found = ", ".join(map(str, item)) if isinstance(item, dict) else type(item).__name__
            raise DataError(f"{self.name}[{index}]: has no {key!r} (it has {found}); give a dict of input and target")
        image = torch.as_tensor(item[key])
        if image.ndim != 3:
            raise DataError(f"{self.name}[{index}]: {key} has the shape {list(image.shape)}; give [C, H, W]")
        return image

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.items[index]
        images = {key: self._image(index, item, key) for key in self.formats.parts}
        for (key, image), fmt in zip(images.items(), self.formats.parts.values(), strict=True):
            dtype = str(image.dtype).removeprefix("torch.")
            if (len(image), dtype) != (fmt.channels, fmt.dtype):
                raise DataError(
                    f"{self.name}[{index}]: {key} is {dtype} of {len(image)} channels; the others are {fmt.dtype} of "
                    f"{fmt.channels}"
                )
        sizes = {key: tuple(image.shape[1:]) for key, image in images.items()}
        size = sizes["input"] if self.size is None else self.size
        if wrong := next((key for key, found in sizes.items() if found != size), None):
            shown = "x".join(map(str, sizes[wrong]))
            raise DataError(
                f"{self.name}[{index}]: {wrong} is {shown} (height x width), and {size[0]}x{size[1]} is expected; "
                "resize the items to one size"
            )
        return {**images, "name": str(item.get("name", index)), "index": index}

    def files(self, index: int) -> list[str]:
        """Name an item in messages."""
        return [f"{self.name}[{index}]"]

    def fingerprint(self) -> Fingerprint:
        """Tell two data sets apart by their length and the content of up to 16 items spread over it."""
        digest = hashlib.sha256()
        for index in np.unique(np.linspace(0, len(self) - 1, 16).astype(int)).tolist():
            item = self[index]
            for key in self.formats.parts:
                digest.update(item[key].contiguous().view(torch.uint8).numpy().tobytes())
        return Fingerprint(len(self), "", digest.hexdigest()[:32])

    def prepare(self, progress: bool = False, known: bool = False) -> "OwnPairs":
        """Read every item once, so that a bad one is found before the first step. Raises DataError and Stopped."""
        self.size = tuple(self[0]["input"].shape[1:])
        for_each(self.__getitem__, range(1 if known else len(self)), progress=progress)
        return self
