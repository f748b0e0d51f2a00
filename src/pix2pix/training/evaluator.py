"""Validate, draw sample grids and export the best generator at the end of an epoch."""

import time
from pathlib import Path

from pix2pix.config import Config
from pix2pix.data.training_data import TrainingData
from pix2pix.training.checkpointer import BEST, Checkpointer
from pix2pix.training.metrics import METRICS, MetricsLog, plot_losses, validated
from pix2pix.training.networks import Networks
from pix2pix.training.state import TrainState
from pix2pix.training.validation import mean_l1, write_sample_grid

PLOT_SECONDS = 10  # between two plots of a run, since one takes as long as an epoch of a small run


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
