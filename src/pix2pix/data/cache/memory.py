"""Arrays of any shapes and number types, a few a pair, one after the other in one run of bytes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pix2pix.runtime.parallel import for_each

HEAD = 64  # bytes before the first array, for what a file begins with
_ALIGNMENT = 64  # every array begins at a multiple of it

Read = Callable[[int], Sequence[np.ndarray]]


class ArraySpec(NamedTuple):
    """What one array of a pair is: its shape and numpy's name of its number type."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class PackedArrays(ABC):
    """The arrays of every pair in one run of bytes, `data`; `sides[i]` says what those of pair i are.

    `prepare(read)` fills it; `get(i, read)` are the arrays of pair i as tensors, which are views of it. Before
    `prepare`, `get` reads on the spot. `read(i)` makes the arrays, C-contiguous.
    """

    where = ""

    def __init__(self, specs: Sequence[Sequence[ArraySpec]]):
        self.specs, self.offsets_of, self.end = specs, [], HEAD  # spans: where each array begins and ends
        for pair in specs:
            offsets_of = []
            for size in [spec.nbytes for spec in pair]:
                offsets_of.append((self.end, self.end + size))
                self.end += -(-size // _ALIGNMENT) * _ALIGNMENT
            self.offsets_of.append(offsets_of)
        self.data: np.ndarray | None = None  # uint8 [end or more]

    @abstractmethod
    def prepare(self, read: Read, progress: bool = False) -> None:
        """Reads every pair, unless they are here. Raises what `read` raises, and Stopped."""

    def get(self, index: int, read: Read) -> list[Tensor]:
        """The arrays of a pair."""
        return [torch.from_numpy(array) for array in (read(index) if self.data is None else self._view(index))]

    def _view(self, index: int, data: np.ndarray | None = None, base: int = 0) -> list[np.ndarray]:
        """The arrays of a pair in `data`, whose first byte is byte `base` of all."""
        data = self.data if data is None else data
        return [
            data[start - base : end - base].view(spec.dtype).reshape(spec.shape)
            for (start, end), spec in zip(self.offsets_of[index], self.specs[index], strict=True)
        ]

    def _require(self, index: int, arrays: Sequence[np.ndarray]) -> None:
        found = [(array.shape, array.dtype.name) for array in arrays]
        assert found == [tuple(spec) for spec in self.specs[index]], found

    def _put(self, index: int, arrays: Sequence[np.ndarray], data: np.ndarray) -> None:
        self._require(index, arrays)
        for kept, array in zip(self._view(index, data), arrays, strict=True):
            kept[...] = array


class MemoryCache(PackedArrays):
    """In the memory of this process; workers share it."""

    where = "memory"

    def __init__(self, specs: Sequence[Sequence[ArraySpec]]):
        super().__init__(specs)
        self.shared: Tensor | None = None  # what spawned workers have too

    def prepare(self, read: Read, progress: bool = False) -> None:
        """Reads every pair, unless they are here. Raises what `read` raises, and Stopped."""
        if self.data is None:
            data = torch.empty(self.end, dtype=torch.uint8).numpy()  # numpy's own would wait for large pages
            for_each(lambda i: self._put(i, read(i), data), range(len(self.specs)), progress=progress)
            self.data = data

    def __getstate__(self) -> dict:
        if self.data is not None and self.shared is None:
            # Not the tensor that `data` was made from: sharing frees what a tensor had, and views of it are about.
            self.shared = torch.from_numpy(self.data).share_memory_()
            self.data = self.shared.numpy()
        return self.__dict__ | {"data": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.data = None if self.shared is None else self.shared.numpy()
