"""Pairs from a map-style data set that the user gives."""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pix2pix.data.augment.geometry import center_crop
from pix2pix.data.cache.state import CacheState
from pix2pix.data.fingerprint import Fingerprint
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.errors import DataError
from pix2pix.runtime.log import bar_disabled
from pix2pix.runtime.signals import stoppable

_FINGERPRINT_ITEMS = 16


class MapDataset(Protocol):
    """A map-style data set, such as a `torch.utils.data.Dataset` with a length."""

    def __len__(self) -> int:
        """Return the number of items."""
        ...

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        """Return an item."""
        ...


class OwnPairs:
    """The pairs of a map-style data set, checked: items are dicts of `input` and `target`, [C, H, W] of one size.

    Images are tensors or arrays, uint8 in 0..255 or float32 in [-1, 1] unless `formats` says otherwise; an item is the
    same each time it is read. With `crop` (H, W), items are cropped to that size from the middle, as for
    validation. Raises DataError for any other item, naming it as `name[index]`.
    """

    cache_state = CacheState("off", reason="read by the data set itself")
    skipped: Sequence[DataError] = ()

    def __init__(
        self,
        items: MapDataset,
        name: str,
        formats: PairFormat | None = None,
        crop: tuple[int, int] | None = None,
    ):
        self.items, self.name, self.crop = items, name, crop
        self.layout = f"{type(items).__name__}, given as {name}"
        if not len(items):
            raise DataError(f"{name}: holds no pairs; give at least one")
        self.formats = formats or PairFormat((self._infer_format("input"),), self._infer_format("target"))
        self.size = tuple(self._image(0, items[0], "input").shape[1:])  # of all items

    def _infer_format(self, key: str) -> ImageFormat:
        image = self._image(0, self.items[0], key)
        if image.dtype == torch.uint8:
            return ImageFormat(channels=len(image))
        if image.dtype == torch.float32:
            return ImageFormat(channels=len(image), dtype="float32", range=(-1.0, 1.0))
        raise DataError(f"{self.name}[0]: {key} is {_dtype(image)}; give uint8 in 0..255 or float32 in [-1, 1]")

    def _image(self, index: int, item: object, key: str) -> Tensor:
        if not isinstance(item, dict) or key not in item:
            content = ", ".join(map(str, item)) if isinstance(item, dict) else f"a {type(item).__name__}"
            raise DataError(f"{self.name}[{index}]: has no {key!r} but {content}; give a dict of 'input' and 'target'")
        if not isinstance(item[key], Tensor | np.ndarray):
            raise DataError(
                f"{self.name}[{index}]: {key} is a {type(item[key]).__name__}; give a tensor or array [C, H, W]"
            )
        image = torch.as_tensor(item[key])
        if image.ndim != 3:
            raise DataError(f"{self.name}[{index}]: {key} has the shape {list(image.shape)}; give [C, H, W]")
        return image

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.items[index]
        images = {key: self._image(index, item, key) for key in self.formats.parts}
        self._require_formats(index, images)
        self._require_size(index, images)
        if self.crop is not None:
            images = {key: _center(image, self.crop) for key, image in images.items()}
        return {**images, "name": str(item.get("name", index)), "index": index}

    def _require_formats(self, index: int, images: dict[str, Tensor]) -> None:
        for key, fmt in self.formats.parts.items():
            actual = (_dtype(images[key]), len(images[key]))
            if actual != (fmt.dtype, fmt.channels):
                raise DataError(
                    f"{self.name}[{index}]: {key} is {actual[0]} of {actual[1]} channels, and {fmt.dtype} of "
                    f"{fmt.channels} is expected; give all items alike, or Trainer(config, formats=...)"
                )

    def _require_size(self, index: int, images: dict[str, Tensor]) -> None:
        for key, image in images.items():
            if tuple(image.shape[1:]) != self.size:
                raise DataError(
                    f"{self.name}[{index}]: {key} is {_by(image.shape[1:])}, and {_by(self.size)} is "
                    "expected; resize the items to one size"
                )

    def files(self, index: int) -> list[str]:
        """Return the name of an item in messages."""
        return [f"{self.name}[{index}]"]

    def fingerprint(self) -> Fingerprint:
        """Return the number of items and a digest of up to 16 of them, spread over the data set."""
        digest = hashlib.sha256()
        for index in np.unique(np.linspace(0, len(self) - 1, _FINGERPRINT_ITEMS).astype(int)).tolist():
            item = self[index]
            for key in self.formats.parts:
                digest.update(item[key].contiguous().view(torch.uint8).numpy().tobytes())
        return Fingerprint(len(self), "", digest.hexdigest()[:32])

    def prepare(self, progress: bool = False, known: bool = False) -> "OwnPairs":
        """Read every item once (only the first if they are `known`), so that a bad item is found before the first step.

        Items are read one by one, since the data set may not be thread-safe. Raises DataError and Stopped.
        """
        indices = range(1 if known else len(self))
        for index in tqdm(
            stoppable(indices), self.name, len(indices), disable=bar_disabled() if progress else True, leave=False
        ):
            _ = self[index]
        return self


def _dtype(image: Tensor) -> str:
    return str(image.dtype).removeprefix("torch.")


def _center(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop [C, H, W] to the middle [C, h, w]."""
    return torch.from_numpy(center_crop(image.permute(1, 2, 0).numpy(), size)).permute(2, 0, 1)


def _by(size: Sequence[int]) -> str:
    """Return width x height of (height, width)."""
    return f"{size[1]}x{size[0]}"
