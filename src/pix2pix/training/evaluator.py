"""Validate, draw sample grids and export the best generator at the end of an epoch."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pix2pix import losses
from pix2pix.config import Config
from pix2pix.data.augment.apply import to_networks, to_pixels
from pix2pix.data.formats.convert import preview
from pix2pix.data.images.files import write_image
from pix2pix.data.training_data import PairSource, TrainingData
from pix2pix.runtime.io import replace_atomically
from pix2pix.runtime.log import warning
from pix2pix.runtime.ownership import may_write_image
from pix2pix.runtime.signals import stoppable
from pix2pix.training.checkpointer import BEST, Checkpointer
from pix2pix.training.metrics import METRICS, MetricsLog, plot_losses, validated
from pix2pix.training.networks import Networks
from pix2pix.training.state import TrainState
from pix2pix.visualization import comparison_grid, titles

PLOT_SECONDS = 10  # between two plots of a run, since one takes as long as an epoch of a small run
Translate = Callable[[Tensor], Tensor]  # images [B, C, H, W] in [-1, 1] to translations in [-1, 1], on any device
_SAME = 2  # of 255: the largest difference that counts as equal


class Evaluator:
    """Evaluates the inference generator of one run on its validation pairs, on the first rank only."""

    def __init__(
        self,
        directory: Path,
        config: Config,
        networks: Networks,
        data: TrainingData,
        checkpointer: Checkpointer,
        log: MetricsLog,
    ):
        self.directory, self.config, self.networks, self.data = directory, config, networks, data
        self.checkpointer, self.log = checkpointer, log
        self._plotted = time.monotonic()  # or when the run started

    def validate(self, state: TrainState) -> float:
        """Measure and record the mean validation L1; export the generator if it is the lowest so far."""
        if self.data.val is None:
            raise ValueError("there are no validation pairs")
        value = mean_l1(self.networks.translate, self.data.val)
        if value < state.best:
            state.best, state.best_step = value, state.step
            self.checkpointer.export(BEST, state)
        # Written last: on resuming, this record means that the epoch's validation is done.
        self.log.write({"step": state.step, "epoch": state.epoch, "val/l1": value})
        self.log.info(f"epoch {state.epoch}/{self.config.schedule.epochs}  val/l1 {value:.4f}")
        return value

    def sample(self, state: TrainState) -> None:
        """Write the sample grid, always of the same pairs, and warn if the generator has collapsed."""
        path = self._grid_path(state)
        pairs = self.data.sampled
        if collapsed := write_sample_grid(path, self.networks.translate, pairs, self.config.run.sample_pairs):
            self.log.warning(f"{collapsed} at step {state.step}: see {path}; a lower optimizer.lr may help")

    def plot(self, state: TrainState) -> None:
        """Draw the loss curves, after the last epoch and otherwise at most once in `PLOT_SECONDS`."""
        last = state.epoch >= self.config.schedule.epochs
        if not last and time.monotonic() - self._plotted < PLOT_SECONDS:
            return
        self._plotted = time.monotonic()
        plot_losses(self.directory / METRICS, self.directory / "loss.png")

    def due(self, state: TrainState) -> tuple[bool, bool]:
        """Return whether validation and the sample grid are due after this epoch."""
        run = self.config.run
        validate = self.data.val is not None and self.is_due(state, run.validate_every_epochs)
        return validate, self.is_due(state, run.sample_every_epochs)

    def is_due(self, state: TrainState, epochs: int) -> bool:
        """Return whether a task that runs every `epochs` epochs is due: also after the last epoch, and never with 0."""
        return epochs > 0 and (state.epoch == self.config.schedule.epochs or state.epoch % epochs == 0)

    def pending(self, state: TrainState) -> tuple[bool, bool]:
        """Return whether validation and the sample grid were skipped because the run was stopped at an epoch's end."""
        if state.step == 0 or state.position:
            return False, False
        validate, sample = self.due(state)
        validated_before = validate and validated(self.directory / METRICS, state.step) is not None
        return validate and not validated_before, sample and not self._grid_path(state).exists()

    def _grid_path(self, state: TrainState) -> Path:
        return self.directory / "samples" / f"epoch_{state.epoch:04d}.png"


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
