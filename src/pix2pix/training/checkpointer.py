"""Save and restore training state; export weights."""

import copy
import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from torch import nn

from pix2pix.config import Config, load_config
from pix2pix.data.fingerprint import Fingerprint
from pix2pix.errors import CheckpointError, DataError
from pix2pix.runtime import distributed, io
from pix2pix.runtime.log import debug, info
from pix2pix.training.checkpoint_io import load_newest, load_step, save_checkpoint
from pix2pix.training.divergence import DivergenceCheck
from pix2pix.training.metrics import METRICS, MetricsLog, validated
from pix2pix.training.networks import Networks
from pix2pix.training.resume import check_environment, explain_longer_schedule
from pix2pix.training.run_dir import CHECKPOINTS, CONFIG, require_same_run, run_id
from pix2pix.training.state import TrainState
from pix2pix.weights import save_weights, saved_step

EXPORTS, BEST = ("gen.pt", "dis.pt"), "best.pt"
_BYTES_PER_TENSOR = 400  # upper bound of what a file needs for a tensor besides its numbers


class Checkpointer:
    """Writes and reads the checkpoints and weights files of one run.

    `environment` holds what determines the run's results besides the config (see `resume.environment`).
    """

    def __init__(self, directory: Path, config: Config, networks: Networks, environment: dict[str, Any]):
        self.directory, self.config, self.networks, self.environment = directory, config, networks, environment
        self.run_id = ""  # set by `load`

    def save(self, state: TrainState, log: MetricsLog, divergence: DivergenceCheck) -> None:
        """Write a checkpoint, then the weights files, on the first rank.

        Raises CheckpointError, or NonFiniteError before anything is written.
        """
        divergence.require_finite(state, weights=True)
        state.saved_step = state.step
        if distributed.rank() > 0:
            return
        self.require_same_run()
        log.flush()  # first: on resuming, the checkpoint relies on these records
        start = time.perf_counter()
        path = save_checkpoint(
            self.directory / CHECKPOINTS,
            {name: part.state_dict() for name, part in self.networks.stateful_objects.items()}
            | state.to_dict()
            | {"surroundings": self.environment},
            state.step,
            self.config.run.keep_checkpoints,
            also=[state.best_step],
            samples_seen=state.samples_seen,
            surroundings=self.environment,
        )
        size = sum(file.stat().st_size for file in path.iterdir())
        debug(f"{path}: {size:,} bytes written in {time.perf_counter() - start:.2f} s")
        for name in EXPORTS:
            self.export(name, state)

    def require_same_run(self) -> None:
        """Raise CheckpointError where the run directory was replaced by another one."""
        require_same_run(self.directory, self.run_id)

    def load(self, state: TrainState, allow_changed: Collection[str] = ()) -> bool:
        """Load the newest intact checkpoint into `state` and the networks; False where there is none.

        Raises CheckpointError, and DataError where the data have changed and `allow_changed` does not include them.
        """
        self.run_id = run_id(self.directory)
        saved = load_newest(self.directory / CHECKPOINTS, self.networks.device)
        if saved is None:
            debug(f"{self.directory}: no checkpoint, so the run starts at step 0")
            return False
        debug(f"{self.directory}: checkpoint of step {saved['step']} loaded")
        before = self._load_state(saved, state)
        check_environment(self.directory, saved["surroundings"], self.environment, allow_changed)
        self._load_networks(saved)
        self._load_best(state, before.get("val"))
        if distributed.rank() == 0:
            explain_longer_schedule(load_config(self.directory / CONFIG), self.config, state.epoch + 1)
            self._repair_exports(state)
        return True

    def _load_state(self, saved: dict[str, Any], state: TrainState) -> dict[str, Fingerprint | None]:
        """Load the progress; return the fingerprints of the splits that were trained on. Raises CheckpointError."""
        try:
            before = {name: Fingerprint.from_saved(value) for name, value in saved["surroundings"]["data"].items()}
            train = before["train"]
            if train is None:
                raise ValueError("no training pairs")
            state.load(saved, pairs_then=train.pairs)
            return before
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CheckpointError(
                f"{self.directory / CHECKPOINTS}: the newest one records impossible progress; remove it "
                "to resume from the one before, choose another --output, or start again with --fresh"
            ) from None

    def _load_best(self, state: TrainState, then: Fingerprint | None) -> None:
        now = Fingerprint.from_saved(self.environment["data"].get("val"))
        if (then is not now) if not (then and now) else then.difference(now) is not None:
            # L1 values on different validation images are not comparable: start the search for the best again.
            state.best, state.best_step = math.inf, state.step
            debug("the validation pairs have changed, so the best generator is chosen again from here")
            return
        # If the run was stopped before this step's validation, it validated on resuming: after the checkpoint.
        value = validated(self.directory / METRICS, state.step)
        if value is not None and value < state.best and state.best_step < state.step:
            state.best, state.best_step = value, state.step

    def _load_networks(self, saved: dict[str, Any]) -> None:
        try:
            for name, part in self.networks.stateful_objects.items():
                # Where --allow-changed turns run.ema on, the average starts from the generator.
                part.load_state_dict(saved["generator" if name == "ema" and name not in saved else name])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError):
            raise CheckpointError(
                f"{self.directory / CHECKPOINTS}: step {saved['step']} holds networks of another shape; choose another "
                "--output, or start again with --fresh"
            ) from None

    def require_agreement(self, state: TrainState) -> None:
        """Raise DataError or CheckpointError where the ranks see different data or checkpoints."""
        data = self.environment["data"]
        if not distributed.all_equal(data):
            seen = ", ".join(f"{split}: {fingerprint['pairs']} pairs" for split, fingerprint in data.items())
            raise DataError(
                f"{self.directory}: the ranks see different data (this one {seen}); give all of them the same"
            )
        if not distributed.all_equal((state.step, state.samples_seen)):
            raise CheckpointError(
                f"{self.directory}: the ranks see different checkpoints (this one is at step {state.step}); choose an "
                "--output that all of them see"
            )

    def require_space(self) -> None:
        """Check that the disk has space for a checkpoint. Raises CheckpointError."""
        networks = self.networks
        tensors = [*networks.generator.state_dict().values(), *networks.discriminator.state_dict().values()]
        tensors *= 3  # Adam stores two numbers per weight
        if networks.ema_generator is not None:
            tensors += networks.ema_generator.state_dict().values()
        size = sum(tensor.nbytes + _BYTES_PER_TENSOR for tensor in tensors)
        io.require_space(self.directory / CHECKPOINTS, size)

    def export(self, name: str, state: TrainState) -> None:
        """Write one weights file: gen.pt and best.pt hold the inference generator, dis.pt the discriminator."""
        if name == "dis.pt":
            self._write(name, "discriminator", self.networks.discriminator, state.step, state.epoch)
        else:
            self._write(name, "generator", self.networks.inference_generator, state.step, state.epoch)

    def _write(
        self, name: str, kind: Literal["generator", "discriminator"], network: nn.Module, step: int, epoch: int
    ) -> None:
        own = self.networks.own_generator if kind == "generator" else self.networks.own_discriminator
        path, formats = self.directory / name, self.networks.formats
        save_weights(path, kind, network, self.config, formats, step, epoch, own=own)

    def _repair_exports(self, state: TrainState) -> None:
        """Write the weights files that are missing, or older than the checkpoint because of a crash."""
        for name in EXPORTS:
            if saved_step(self.directory / name) != state.step:
                debug(f"{self.directory / name}: missing or older than the checkpoint; written again")
                self.export(name, state)
        step = state.best_step
        if not step or saved_step(self.directory / BEST) == step:
            return
        saved = load_step(self.directory / CHECKPOINTS, step, self.networks.device)
        if saved is None:
            info(f"{self.directory / BEST}: its checkpoint of step {step} is gone; the best is chosen again from here")
            state.best, state.best_step = math.inf, state.step
            self.export(BEST, state)
            return
        best = copy.deepcopy(self.networks.inference_generator)
        ema = self.networks.ema_generator is not None and "ema" in saved
        best.load_state_dict(saved["ema" if ema else "generator"])
        self._write(BEST, "generator", best, step, saved["samples_seen"] // state.pairs)
