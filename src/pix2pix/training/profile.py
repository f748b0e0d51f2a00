"""Where the time of a step goes: a short run that is timed by phase and traced (`pix2pix train --profile`)."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from pix2pix.data.cache.state import show_bytes
from pix2pix.runtime import distributed
from pix2pix.runtime.io import replace_atomically
from pix2pix.runtime.log import info, warning
from pix2pix.runtime.memory import peak_bytes
from pix2pix.runtime.signals import stop_when
from pix2pix.training.micro_batch import MicroBatch
from pix2pix.training.networks import Player
from pix2pix.training.run import Run
from pix2pix.training.run_dir import run_path
from pix2pix.training.trainer import Trainer

TRACE = "profile.json"
PHASES = ("data", "transfer", "generator", "discriminator", "optimizer")
WARM_UP, TIMED, TRACED = 5, 20, 3  # steps


class Phases:
    """The seconds in each phase, excluding nested phases. On a GPU, the end of each phase waits for the device."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._active: list[str] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._switch()
        self._active.append(name)
        try:
            with torch.profiler.record_function(name):
                yield
        finally:
            self._switch()
            self._active.pop()

    def _switch(self) -> None:
        now = self.now()
        if self._active:
            self.seconds[self._active[-1]] += now - self._since
        self._since = now

    def now(self) -> float:
        """Return the time after the device has finished its queued work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


class ProfiledTrainer(Trainer):
    """A trainer that stops after 28 steps, as after a signal: 5 to warm up, 20 that are timed and 3 that are traced.

    The trace is `profile.json` in the run directory, in Chrome's format; the times by phase are logged.
    `complete` is whether all steps were run.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._run_step = self._update_both  # without a CUDA graph, since phases within one cannot be timed
        self.phases, self.complete = Phases(self.device), False
        self._steps, self._images, self._start, self._paused, self._seconds = 0, 0, 0.0, 0.0, 0.0
        activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if self.device.type == "cuda" else [])
        self._profile = profile(activities=activities)

    def fit(self, *args: Any, **options: Any) -> bool:
        """Train as `Trainer.fit` does, for at most 28 steps; return whether the run is finished."""
        try:
            with stop_when(lambda: self.complete):
                return super().fit(*args, **options)
        finally:
            if not self.complete:
                self._abandon()

    def train_step(
        self, x: Tensor, y: Tensor, local_batch_size: int | None = None, global_batch_size: int | None = None
    ) -> dict[str, Tensor]:
        metrics = super().train_step(x, y, local_batch_size, global_batch_size)
        self._images += len(x) if global_batch_size is None else global_batch_size
        self._steps += 1
        self._switch()
        return metrics

    def _batches(self, run: Run) -> Iterator[dict[str, Tensor]]:
        batches = super()._batches(run)
        self._start += self.phases.now() - self._paused  # validation and saving do not count
        while True:
            with self.phases("data"):
                batch = next(batches, None)
            if batch is None:
                self._paused = self.phases.now()
                return
            yield batch

    def _prepare(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        with self.phases("transfer"):
            return super()._prepare(batch)

    def _update_discriminator(self, batch: list[MicroBatch], step: int | Tensor) -> dict[str, Tensor]:
        with self.phases("discriminator"):
            return super()._update_discriminator(batch, step)

    def _update_generator(self, batch: list[MicroBatch], step: int | Tensor) -> dict[str, Tensor]:
        with self.phases("generator"):
            return super()._update_generator(batch, step)

    def _fake(self, batch: MicroBatch, learning: bool = False) -> Tensor:
        with self.phases("generator"):
            return super()._fake(batch, learning)

    def _apply(self, player: Player, metrics: dict[str, Tensor], step: int | Tensor) -> None:
        with self.phases("optimizer"):
            super()._apply(player, metrics, step)

    def _switch(self) -> None:
        """Start or end the timing or the trace if it is due after this step."""
        if self._steps == WARM_UP:
            self.phases.seconds.clear()
            self._images, self._start = 0, self.phases.now()
        elif self._steps == WARM_UP + TIMED:
            self._seconds = self.phases.now() - self._start
            if distributed.rank() == 0:
                self._report()
                self._profile.start()
        elif self._steps == WARM_UP + TIMED + TRACED:
            self.complete = True
            if distributed.rank() == 0:
                self._write()

    def _abandon(self) -> None:
        """End a trace that has started, and warn that the steps were too few."""
        if distributed.rank() == 0 and self._steps >= WARM_UP + TIMED:
            self._profile.stop()
        warning(f"no complete profile: it takes {WARM_UP + TIMED + TRACED} steps, and {self._steps} were done")

    def _report(self) -> None:
        times = {name: self.phases.seconds[name] for name in PHASES}
        times |= {"host overhead": self._seconds - sum(times.values()), "step": self._seconds}
        lines = [
            f"  {name:<14}{1000 * spent / TIMED:9.2f} ms{spent / self._seconds:7.1%}" for name, spent in times.items()
        ]
        lines.append(f"  {'images/s':<14}{self._images / self._seconds:9.2f}")
        lines.append(f"  {'peak memory':<14}{show_bytes(peak_bytes(self.device)):>12}")
        info([f"profile of {TIMED} steps, after {WARM_UP} to warm up", *lines])

    def _write(self) -> None:
        self._profile.stop()
        path = run_path(self.config) / TRACE
        replace_atomically(path, lambda temporary: self._profile.export_chrome_trace(str(temporary)))
        info(f"trace of {TRACED} more steps in {path}; open it at https://ui.perfetto.dev")
