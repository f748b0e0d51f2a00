"""How a generator does on pairs that it was not trained on: a number, and a sheet of pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pix2pix import losses
from pix2pix.data.augment import to_float, to_pixels
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.images import write_image
from pix2pix.grids import comparison_grid
from pix2pix.runtime.files import replace_atomically
from pix2pix.runtime.signals import unless_stopped

Translate = Callable[[Tensor], Tensor]  # [B, C, H, W] in [-1, 1] to the same, on any device
Stop = Callable[[], bool]
_SAME = 2  # of 255: what the eye does not tell apart


@torch.no_grad()
def mean_l1(translate: Translate, dataset: PairedDataset, stop: Stop = lambda: False) -> float:
    """The mean L1 between translations and targets of a data set, in [-1, 1] units. May raise Stopped."""
    total = 0.0
    for pair in (dataset[i] for i in unless_stopped(range(len(dataset)), stop)):
        fake = translate(to_float(pair["input"][None]))
        total += losses.l1(fake, to_float(pair["target"][None]).to(fake.device)).item()
    return total / len(dataset)


def write_sample_grid(
    path: Path, translate: Translate, dataset: PairedDataset, count: int, stop: Stop = lambda: False
) -> str | None:
    """Writes a comparison of the first `count` pairs' translations with their targets.

    Returns how the translations have collapsed, in words, where they have.

    Raises CheckpointError, and Stopped once `stop()` is true.
    """
    rows = []
    for index in unless_stopped(range(min(count, len(dataset))), stop):
        pair = dataset[index]
        fake = to_pixels(translate(to_float(pair["input"][None])))[0].cpu()
        rows.append([image.permute(1, 2, 0).numpy() for image in (pair["input"], fake, pair["target"])])
    grid = comparison_grid(rows)
    replace_atomically(path, lambda temporary: write_image(temporary, grid))
    return collapse(*zip(*[(input, fake) for input, fake, _ in rows], strict=True))


def collapse(inputs: Sequence[np.ndarray], fakes: Sequence[np.ndarray]) -> str | None:
    """How translations, uint8 [H, W, C], show that nothing was learned or all was lost, or None."""
    if all(np.ptp(fake, axis=(0, 1)).max() <= _SAME for fake in fakes):
        return "each translation is one colour all over"
    differ = [np.abs(np.int16(inputs[0]) - other).max() > _SAME for other in inputs[1:]]
    if any(differ) and all(np.abs(np.int16(fakes[0]) - other).max() <= _SAME for other in fakes[1:]):
        return "the translations of different pictures are the same"
    return None
