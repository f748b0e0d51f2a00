"""A sheet of pairs as the networks will see them, augmentation included."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pix2pix.config import Config
from pix2pix.data.augment import prepare, to_pixels
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.images import write_image
from pix2pix.data.loader import PairLoader
from pix2pix.data.pairs import Pair
from pix2pix.grids import comparison_grid
from pix2pix.runtime.files import replace_atomically

_ROWS = 6
_TITLES = ("input", "target", "input, next epoch", "target, next epoch")


def write_sheet(path: Path, config: Config, pairs: Sequence[Pair]) -> int:
    """A row a pair, `_ROWS` of them spread over `pairs`, as two epochs draw them; returns how many.

    `pairs`: of one split, all of which can be read. Raises CheckpointError where the sheet cannot be written.
    """
    data = config.data
    chosen = [pairs[index] for index in np.unique(np.linspace(0, len(pairs) - 1, _ROWS).astype(int))]
    dataset = PairedDataset(chosen, data.load, data.interpolation, cache="off")
    loader = PairLoader(dataset, data.crop, 1, data.flip, config.run.seed, augment=data.augment)
    rows: list[list[np.ndarray]] = [[] for _ in chosen]
    for epoch in range(len(_TITLES) // 2):
        for batch in loader.epoch(epoch):
            sides = prepare(batch, torch.device("cpu"), data.augment, data.crop)
            rows[int(batch["index"])] += [to_pixels(side)[0].permute(1, 2, 0).numpy() for side in sides]
    replace_atomically(path, lambda temporary: write_image(temporary, comparison_grid(rows, _TITLES)))
    return len(rows)
