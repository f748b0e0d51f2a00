"""Copy batches to a GPU while it computes."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Transfer:
    """Copies tensors of a batch to a CUDA device from pinned memory, on a stream of its own.

    The host is ahead of the device, so the copy of a batch runs while the device computes the step before. On other
    devices nothing is copied. `cuda` is `torch.cuda`, unless a test replaces it.
    """

    def __init__(self, device: torch.device, cuda: Any = torch.cuda):
        self._device, self._cuda = device, cuda
        self._stream = cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, batch: dict[str, Tensor], keys: Iterable[str]) -> dict[str, Tensor]:
        """Return the batch with the tensors of these keys on the device; work that follows there waits for them."""
        if self._stream is None:
            return batch
        with self._cuda.stream(self._stream):
            copies = {key: batch[key].pin_memory().to(self._device, non_blocking=True) for key in keys}
        current = self._cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        for copy in copies.values():
            copy.record_stream(current)  # its memory belongs to the side stream, which may not reuse it before
        return batch | copies
