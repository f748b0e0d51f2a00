"""How a generator does on pairs that it was not trained on: a number, and a sheet of pictures."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pix2pix import losses
from pix2pix.data.augment import to_networks, to_pixels
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.forms import preview
from pix2pix.data.images import write_picture
from pix2pix.grids import comparison_grid, titles
from pix2pix.runtime.files import replace_atomically

Translate = Callable[[Tensor], Tensor]  # [B, C, H, W] in [-1, 1] to the same, on any device


@torch.no_grad()
def mean_l1(translate: Translate, dataset: PairedDataset) -> float:
    """The mean L1 between translations and targets of a data set, in [-1, 1] units."""
    total = 0.0
    for index in range(len(dataset)):
        x, y = to_networks(_batch(dataset, index), dataset.forms)
        fake = translate(x)
        total += losses.l1(fake, y.to(fake.device)).item()
    return total / len(dataset)


def write_sample_grid(path: Path, translate: Translate, dataset: PairedDataset, count: int) -> None:
    """Writes a comparison of the first `count` pairs' translations with their targets. Raises CheckpointError."""
    rows, forms = [], dataset.forms
    for index in range(min(count, len(dataset))):
        pair = _batch(dataset, index)
        fake = to_pixels(translate(to_networks(pair, forms)[0]), forms.target).cpu()
        named = [(pair[key], form) for key, form in forms.parts.items()]
        pictures = [*named[:-1], (fake, forms.target), named[-1]]
        rows.append([preview(pixels[0].permute(1, 2, 0).numpy(), form) for pixels, form in pictures])
    grid = comparison_grid(rows, titles(len(forms.input)))
    replace_atomically(path, lambda temporary: write_picture(temporary, grid))


def _batch(dataset: PairedDataset, index: int) -> dict[str, Tensor]:
    pair = dataset[index]
    return {key: pair[key][None] for key in dataset.forms.parts}
