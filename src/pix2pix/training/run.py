"""One run: its directory, and the collaborators that log, check, evaluate and save it."""

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pix2pix.config import Config
from pix2pix.data.loader import PairLoader, open_loader, worker_count
from pix2pix.data.training_data import TrainingData
from pix2pix.errors import CheckpointError, DataError, NonFiniteError
from pix2pix.models.build import require_equal_shares
from pix2pix.runtime import distributed
from pix2pix.runtime.distributed import stopped_together
from pix2pix.runtime.finite import FiniteGuard
from pix2pix.runtime.log import debug, info
from pix2pix.training.checkpointer import Checkpointer
from pix2pix.training.divergence import DivergenceCheck
from pix2pix.training.evaluator import Evaluator
from pix2pix.training.metrics import MetricsLog
from pix2pix.training.networks import Networks
from pix2pix.training.resume import environment
from pix2pix.training.run_dir import keep_config, open_run_dir, run_path
from pix2pix.training.state import TrainState
from pix2pix.training.summary import estimate, steps_left, summarize


@dataclass(frozen=True)
class Run:
    """An open run: its directory is locked, and its state is loaded."""

    config: Config
    directory: Path
    data: TrainingData
    loader: PairLoader
    log: MetricsLog
    divergence: DivergenceCheck
    checkpointer: Checkpointer
    evaluator: Evaluator
    own_parts: bool

    def batch_sizes(self, state: TrainState) -> tuple[int, int]:
        """Return how many pairs the next batch has, on this rank and on all ranks together."""
        total = min(self.config.data.batch_size, state.pairs - state.position)
        return len(distributed.shard(range(total), distributed.rank(), distributed.world_size())), total

    def after_step(
        self, state: TrainState, metrics: dict[str, Tensor], indices: Tensor, pairs: int, rate: float
    ) -> None:
        """Log an update; at the log cadence, raise NonFiniteError if training has diverged."""
        state.recent_indices[state.step] = indices
        if self.log.is_due(state.step):
            self.divergence.require_finite(state)
        epoch = (state.samples_seen - 1) // state.pairs + 1
        self.log.step(state, metrics, pairs, epoch=epoch, lr=rate)
        estimate(self.config, self.directory, self.log, state.step, self.own_parts)

    def end_epoch(self, state: TrainState) -> dict[str, float]:
        """Validate, save and draw what is due after an epoch; return the validation metrics."""
        return self._evaluate(state, *self.evaluator.due(state))

    def run_pending(self, state: TrainState) -> None:
        """Run the epoch-end tasks that an earlier stop has skipped."""
        pending = self.evaluator.pending(state)
        if any(pending):
            skipped = [name for name, due in zip(("validation", "samples"), pending, strict=True) if due]
            debug(f"epoch {state.epoch} ended before its {' and '.join(skipped)}: run now")
        if distributed.any_rank(any(pending)):
            self._evaluate(state, *pending)

    def _evaluate(self, state: TrainState, validate: bool, sample: bool) -> dict[str, float]:
        """Validate, save, plot and draw samples, in this order: the checkpoint stores the validation result."""
        metrics: dict[str, float] = {}
        self.log.pause()
        self.divergence.require_finite(state, weights=True)
        first_rank = distributed.rank() == 0  # the others wait
        with stopped_together():
            if first_rank:
                self.checkpointer.require_same_run()
            if validate and first_rank:
                try:
                    metrics["val/l1"] = self.evaluator.validate(state)
                except (DataError, MemoryError, torch.OutOfMemoryError):
                    self.save(state)  # the networks are intact
                    raise
        if self.evaluator.is_due(state, self.config.run.checkpoint_every_epochs):
            self.save(state)
        with stopped_together():  # after the checkpoint, so that a failure loses nothing
            if first_rank:
                with self.log.optional("the loss plot"):
                    self.evaluator.plot(state)
                self.checkpointer.require_same_run()
                if sample:  # last: if this file is missing, a resumed run draws the plot and the samples
                    with self.log.optional("the sample grid"):
                        self.evaluator.sample(state)
        self.log.resume()
        return metrics

    def save(self, state: TrainState) -> None:
        """Write a checkpoint and the weights files. Raises CheckpointError and NonFiniteError."""
        self.checkpointer.save(state, self.log, self.divergence)

    def save_before(self, state: TrainState, error: DataError) -> DataError:
        """Save the steps before `error`, which ends the run; return an error that also says whether this succeeded.

        The other ranks wait until the first one has saved, since torchrun ends all ranks as soon as one has ended.
        """
        before = state.saved_step
        if state.step == before:
            return error
        try:
            self.log.pause()
            self.save(state)
            saved = f"everything up to step {state.step} is saved, and the same command resumes from there"
        except (CheckpointError, NonFiniteError) as problem:
            saved = f"the steps after {before} could not be saved: {problem}"
        distributed.any_rank(False)
        return DataError(f"{error}; {saved}")

    def stop(self, state: TrainState) -> None:
        """Save the steps since the last checkpoint, and log how to resume."""
        if state.step != state.saved_step:
            self.log.pause()
            self.save(state)
        what = f"all saved in {self.directory}" if state.step else "with nothing to save"
        info(f"stopped at step {state.step}, {what}; the same command resumes from here")


@contextmanager
def open_run(
    config: Config,
    networks: Networks,
    data: TrainingData,
    state: TrainState,
    guard: FiniteGuard,
    own_parts: bool = False,
    resume: bool = False,
    fresh: bool = False,
    allow_changed: Collection[str] = (),
) -> Iterator[Run | None]:
    """Log the plan, enter the run directory and load its state; yield the run, or None if it is already finished.

    Raises ConfigError, DataError and CheckpointError, before anything is trained.
    """
    state.pairs = len(data.train)
    require_equal_shares(config, state.pairs, networks.generator, networks.discriminator)
    info(summarize(config, data, networks))
    directory = run_path(config)
    checkpointer = Checkpointer(
        directory,
        config,
        networks,
        environment(networks.execution, networks.device, data.fingerprints, data.formats, distributed.world_size()),
    )
    with ExitStack() as stack:
        with distributed.rank_zero_first():
            if distributed.rank() == 0:
                stack.enter_context(open_run_dir(config, resume, fresh, allow_changed))
            checkpointer.load(state, allow_changed)
        checkpointer.require_agreement(state)
        total = state.step + steps_left(config, state)
        log = MetricsLog(directory, total, config.run.log_every_steps, state.step)
        evaluator = Evaluator(directory, config, networks, data, checkpointer, log)
        if state.epoch >= config.schedule.epochs and not distributed.any_rank(any(evaluator.pending(state))):
            info(
                f"this run is finished: {state.epoch} epochs, {state.step} steps; weights in {directory / 'gen.pt'}; "
                "--fresh starts it again"
            )
            yield None
            return
        if distributed.rank() == 0:
            keep_config(config, directory)
            checkpointer.require_space()
        if state.step:
            info(f"resuming from step {state.step} (epoch {state.epoch + 1})")
        data.prepare(known=state.step > 0)
        workers = worker_count(config.data.workers, data.train)
        debug(f"data.workers {config.data.workers}: {workers} on this rank, for {os.cpu_count()} processors")
        pinned = networks.device.type == "cuda"
        loader = stack.enter_context(open_loader(config.data, data.train, config.run.seed, pinned))
        stack.enter_context(log.opened())
        divergence = DivergenceCheck(directory, guard, networks, data.train)
        yield Run(config, directory, data, loader, log, divergence, checkpointer, evaluator, own_parts)
