"""Fixed-layout arrays packed into one buffer; the cache in memory."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pix2pix.runtime.parallel import for_each

HEAD = 64  # bytes before the first array, for the header of a file
_ALIGNMENT = 64  # every array begins at a multiple of it

# Returns the arrays of a pair, C-contiguous, or an empty list for a broken pair that is skipped.
Read = Callable[[int], Sequence[np.ndarray]]


class ArraySpec(NamedTuple):
    """The shape and the NumPy dtype of an array."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class PackedArrays(ABC):
    """The arrays of every pair in one buffer; `specs[i]` describes those of pair i.

    `prepare(read)` fills it; `get(i, read)` returns the arrays of pair i as tensors. Before `prepare`, `get` calls
    `read`.
    """

    def __init__(self, specs: Sequence[Sequence[ArraySpec]]):
        self.specs, self.end = specs, HEAD
        self.offsets: list[list[tuple[int, int]]] = []  # where each array of each pair begins and ends
        for pair in specs:
            offsets = []
            for size in [spec.nbytes for spec in pair]:
                offsets.append((self.end, self.end + size))
                self.end += -(-size // _ALIGNMENT) * _ALIGNMENT
            self.offsets.append(offsets)

    @abstractmethod
    def prepare(self, read: Read, progress: bool = False) -> None:
        """Read every pair, unless that was done. Raises what `read` raises, and Stopped."""

    @abstractmethod
    def get(self, index: int, read: Read) -> list[Tensor]:
        """Return the arrays of a pair."""

    def empty_places(self) -> list[int]:
        """Return which pairs an earlier process may have found to be broken."""
        return []

    def _views(self, index: int, data: np.ndarray) -> list[np.ndarray]:
        """Return the arrays of a pair as views of the buffer."""
        return [
            data[start:end].view(spec.dtype).reshape(spec.shape)
            for (start, end), spec in zip(self.offsets[index], self.specs[index], strict=True)
        ]

    def _require(self, index: int, arrays: Sequence[np.ndarray]) -> None:
        actual = [(array.shape, array.dtype.name) for array in arrays]
        assert actual == [tuple(spec) for spec in self.specs[index]], actual


class MemoryCache(PackedArrays):
    """The cache in memory, which worker processes share."""

    def __init__(self, specs: Sequence[Sequence[ArraySpec]]):
        super().__init__(specs)
        self.data: np.ndarray | None = None  # uint8 [end]
        self.shared: Tensor | None = None  # the same, for spawned workers

    def prepare(self, read: Read, progress: bool = False) -> None:
        """Read every pair, unless that was done. Raises what `read` raises, and Stopped."""
        if self.data is not None:
            return
        data = torch.empty(self.end, dtype=torch.uint8).numpy()  # np.empty would wait for huge pages

        def put(index: int) -> None:
            if arrays := read(index):
                self._require(index, arrays)
                for view, array in zip(self._views(index, data), arrays, strict=True):
                    view[...] = array

        for_each(put, range(len(self.specs)), progress=progress)
        self.data = data

    def get(self, index: int, read: Read) -> list[Tensor]:
        """Return the arrays of a pair, which are views of the cache."""
        arrays = read(index) if self.data is None else self._views(index, self.data)
        return [torch.from_numpy(array) for array in arrays]

    def __getstate__(self) -> dict[str, Any]:
        if self.data is not None and self.shared is None:
            # A new tensor: sharing the one behind `data` would free memory that existing views refer to.
            self.shared = torch.from_numpy(self.data).share_memory_()  # type: ignore[no-untyped-call]
            self.data = self.shared.numpy()
        return self.__dict__ | {"data": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.data = None if self.shared is None else self.shared.numpy()
