"""How a generator does on pairs that it was not trained on: a number, and a sheet of pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pix2pix import losses
from pix2pix.data.augment import to_networks, to_pixels
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.forms import preview
from pix2pix.data.images import write_picture
from pix2pix.grids import comparison_grid, titles
from pix2pix.runtime.console import say
from pix2pix.runtime.files import replace_atomically
from pix2pix.runtime.ownership import may_write_picture
from pix2pix.runtime.signals import unless_stopped

Translate = Callable[[Tensor], Tensor]  # [B, C, H, W] in [-1, 1] to the same, on any device
Stop = Callable[[], bool]
_SAME = 2  # of 255: what the eye does not tell apart


@torch.no_grad()
def mean_l1(translate: Translate, dataset: PairedDataset, stop: Stop = lambda: False) -> float:
    """The mean L1 between translations and targets of a data set, in [-1, 1] units. May raise Stopped."""
    total = 0.0
    for index in unless_stopped(range(len(dataset)), stop):
        x, y = to_networks(_batch(dataset, index), dataset.forms)
        fake = translate(x)
        total += losses.l1(fake, y.to(fake.device)).item()
    return total / len(dataset)


def write_sample_grid(
    path: Path, translate: Translate, dataset: PairedDataset, count: int, stop: Stop = lambda: False
) -> str | None:
    """Writes a comparison of the first `count` pairs' translations with their targets.

    Returns how the translations have collapsed, in words, where they have.

    Raises CheckpointError, and Stopped once `stop()` is true.
    """
    rows, forms = [], dataset.forms
    for index in unless_stopped(range(min(count, len(dataset))), stop):
        pair = _batch(dataset, index)
        fake = to_pixels(translate(to_networks(pair, forms)[0]), forms.target).cpu()
        named = [(pair[key], form) for key, form in forms.parts.items()]
        pictures = [*named[:-1], (fake, forms.target), named[-1]]
        rows.append([preview(pixels[0].permute(1, 2, 0).numpy(), form) for pixels, form in pictures])
    grid = comparison_grid(rows, titles(len(forms.input)))
    if may_write_picture(path):
        replace_atomically(path, lambda temporary: write_picture(temporary, grid, signed=True))
    else:
        say(f"warning: {path}: exists and was not made by pix2pix; it is kept, and these samples are not written")
    return collapse([input for input, *_ in rows], [fake for *_, fake, _ in rows])


def _batch(dataset: PairedDataset, index: int) -> dict[str, Tensor]:
    pair = dataset[index]
    return {key: pair[key][None] for key in dataset.forms.parts}


def collapse(inputs: Sequence[np.ndarray], fakes: Sequence[np.ndarray]) -> str | None:
    """How translations, uint8 [H, W, C], show that nothing was learned or all was lost, or None."""
    if all(np.ptp(fake, axis=(0, 1)).max() <= _SAME for fake in fakes):
        return "each translation is one colour all over"
    differ = [np.abs(np.int16(inputs[0]) - other).max() > _SAME for other in inputs[1:]]
    if any(differ) and all(np.abs(np.int16(fakes[0]) - other).max() <= _SAME for other in fakes[1:]):
        return "the translations of different pictures are the same"
    return None
