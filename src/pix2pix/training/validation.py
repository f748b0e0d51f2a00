"""Validation L1 and sample grids."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pix2pix import losses
from pix2pix.data.augment.apply import to_networks, to_pixels
from pix2pix.data.formats.convert import preview
from pix2pix.data.images.files import write_image
from pix2pix.data.training_data import PairSource
from pix2pix.runtime.io import replace_atomically
from pix2pix.runtime.log import warning
from pix2pix.runtime.ownership import may_write_image
from pix2pix.runtime.signals import stoppable
from pix2pix.visualization import comparison_grid, titles

Translate = Callable[[Tensor], Tensor]  # images [B, C, H, W] in [-1, 1] to translations in [-1, 1], on any device
_SAME = 2  # of 255: the largest difference that counts as equal


@torch.no_grad()
def mean_l1(translate: Translate, dataset: PairSource) -> float:
    """Return the mean L1 between translations and targets of a data set, as images in [-1, 1].

    Each image counts the same, by its pixels that have a value; images without any are left out. Raises Stopped.
    """
    total, counted = 0.0, 0
    for index in stoppable(range(len(dataset))):
        x, y = to_networks(_batch(dataset, index), dataset.formats)
        fake = translate(x)
        y = y.to(fake.device)
        if dataset.formats.target.ignores:
            valid = ~y.isnan()
            if not valid.any():
                continue
            fake, y = fake[valid], y[valid]
        total += losses.l1(fake, y).item()
        counted += 1
    return total / max(counted, 1)


def write_sample_grid(path: Path, translate: Translate, dataset: PairSource, count: int) -> str | None:
    """Write a grid of the first `count` pairs with their translations.

    Return a description of the collapse if all translations are flat or alike, else None. Raises CheckpointError and
    Stopped.
    """
    rows, formats = [], dataset.formats
    for index in stoppable(range(min(count, len(dataset)))):
        pair = _batch(dataset, index)
        fake = to_pixels(translate(to_networks(pair, formats)[0]), formats.target).cpu()
        named = [(pair[key], fmt) for key, fmt in formats.parts.items()]
        pictures = [*named[:-1], (fake, formats.target), named[-1]]
        rows.append([preview(pixels[0].permute(1, 2, 0).numpy(), fmt) for pixels, fmt in pictures])
    grid = comparison_grid(rows, titles(len(formats.input)))
    if may_write_image(path):
        replace_atomically(path, lambda temporary: write_image(temporary, grid, signed=True))
    else:
        warning(f"{path}: exists and was not made by pix2pix, so these samples are not written; move it away")
    return collapse([input for input, *_ in rows], [fake for *_, fake, _ in rows])


def _batch(dataset: PairSource, index: int) -> dict[str, Tensor]:
    pair = dataset[index]
    return {key: pair[key][None] for key in dataset.formats.parts}


def collapse(inputs: Sequence[np.ndarray], fakes: Sequence[np.ndarray]) -> str | None:
    """Describe the collapse if all translations, uint8 [H, W, C], are flat or alike; else return None."""
    if all(np.ptp(fake, axis=(0, 1)).max() <= _SAME for fake in fakes):
        return "each translation is of a single colour"
    differ = [np.abs(np.int16(inputs[0]) - other).max() > _SAME for other in inputs[1:]]
    if any(differ) and all(np.abs(np.int16(fakes[0]) - other).max() <= _SAME for other in fakes[1:]):
        return "different inputs have the same translation"
    return None
