"""The state of a training run: all that changes from step to step, except the networks and optimizers."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class RunningSums:
    """Sums of the metrics since the last record; they stay on the device until a record is due."""

    sums: dict[str, Tensor | float] = field(default_factory=dict)
    count: int = 0

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Add the scalars of one update, in double precision where the device has it."""
        for name, value in metrics.items():
            wide = torch.float32 if value.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
            self.sums[name] = self.sums.get(name, 0.0) + value.detach().to(wide)
        self.count += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each metric; this waits for the device."""
        return {name: float(value) / self.count for name, value in self.sums.items()}

    def clear(self) -> None:
        """Reset the sums."""
        self.sums, self.count = {}, 0


@dataclass
class TrainState:
    """The progress of a run.

    `step`: optimizer updates done. `samples_seen`: pairs trained on, which drives the order of the data, randomness and
    the schedule. `pairs`: training pairs in an epoch. `best`: the lowest validation L1 so far, at `best_step`.
    `saved_step`: the step of the newest checkpoint. `recent_indices`: by step, the data set indices of the batches
    whose losses have not been checked yet.
    """

    step: int = 0
    samples_seen: int = 0
    pairs: int = 1
    best: float = math.inf
    best_step: int = 0
    saved_step: int = 0
    running: RunningSums = field(default_factory=RunningSums)
    recent_indices: dict[int, Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self.samples_seen // self.pairs

    @property
    def position(self) -> int:
        """Pairs seen in the current epoch."""
        return self.samples_seen % self.pairs

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that a checkpoint stores, as plain values."""
        window = {
            "sums": {name: float(value) for name, value in self.running.sums.items()},
            "count": self.running.count,
        }
        return {
            "step": self.step,
            "samples_seen": self.samples_seen,
            "best": self.best,
            "best_step": self.best_step,
            "window": window,
        }

    def load(self, saved: dict[str, Any], pairs_then: int) -> None:
        """Load what `to_dict` returned. If the data set had `pairs_then` pairs, the number of finished epochs is kept.

        Raises KeyError, TypeError, AttributeError or ValueError where the values cannot come from a run.
        """
        window = saved["window"]
        counts = [saved["step"], saved["samples_seen"], saved["best_step"], window["count"]]
        if (
            any(type(count) is not int or count < 0 for count in counts)
            or not saved["best_step"] <= saved["step"] <= saved["samples_seen"]
            or type(saved["best"]) is not float
            or not saved["best"] >= 0  # infinite before the first validation
            or not all(type(value) is float and math.isfinite(value) for value in window["sums"].values())
        ):
            raise ValueError("the progress is inconsistent")
        self.step = self.saved_step = saved["step"]
        epochs, more = divmod(saved["samples_seen"], pairs_then)
        self.samples_seen = epochs * self.pairs + min(more, self.pairs - 1)
        self.best, self.best_step = saved["best"], saved["best_step"]
        self.running = RunningSums(dict(window["sums"]), window["count"])
