"""Draw a sheet of pairs as the networks will see them, including augmentation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pix2pix.config import Config
from pix2pix.data.augment.apply import augment_batch, to_float, to_pixels
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.formats.convert import preview
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.data.images.files import write_image
from pix2pix.data.loader import PairLoader
from pix2pix.data.pairs import Pair
from pix2pix.runtime.io import replace_atomically
from pix2pix.visualization import comparison_grid

_ROWS, _EPOCHS = 6, 2


def write_sheet(path: Path, config: Config, pairs: Sequence[Pair], formats: PairFormat) -> int:
    """Draw one row for each of `_ROWS` pairs, spread over `pairs`, as they appear in two epochs; return the number.

    `pairs` belong to one split and can all be read in `formats`. Raises CheckpointError where the sheet cannot be
    written.
    """
    data, cpu = config.data, torch.device("cpu")
    chosen = [pairs[index] for index in np.unique(np.linspace(0, len(pairs) - 1, _ROWS).astype(int))]
    dataset = PairedDataset(chosen, data.load, data.interpolation, cache="off", formats=formats)
    loader = PairLoader(dataset, data.crop, 1, data.flip, config.run.seed, augment=data.augment)
    rows: list[list[np.ndarray]] = [[] for _ in chosen]
    for epoch in range(_EPOCHS):
        for batch in loader.epoch(epoch):
            images = augment_batch(batch, cpu, data.augment, data.crop, formats)
            for key, fmt in formats.parts.items():
                pixels = to_pixels(to_float(images[key], fmt), fmt)[0]
                rows[int(batch["index"])].append(preview(pixels.permute(1, 2, 0).numpy(), fmt))
    titles = [*formats.parts, *(f"{key}, next epoch" for key in formats.parts)]
    replace_atomically(path, lambda temporary: write_image(temporary, comparison_grid(rows, titles), signed=True))
    return len(rows)
