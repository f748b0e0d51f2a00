"""Choose the number format and the memory format by timing steps of the run's own networks (`run.precision: auto`)."""

import copy
import hashlib
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pix2pix.config import Config
from pix2pix.data.cache.budget import cache_folder
from pix2pix.errors import is_out_of_memory
from pix2pix.models import frozen
from pix2pix.models.build import micro_batch_size
from pix2pix.models.cost import use_channels_last
from pix2pix.objective import ObjectivePair
from pix2pix.runtime import distributed
from pix2pix.runtime.device import autocast, device_name
from pix2pix.runtime.log import debug, info
from pix2pix.runtime.signals import raise_if_stopped
from pix2pix.training.checkpoint_io import newest_environment
from pix2pix.training.execution import CANDIDATES, CHANNELS_LAST, PLAIN, Execution, configured, index_of, recorded
from pix2pix.training.networks import Networks
from pix2pix.training.run_dir import CHECKPOINTS, run_path
from pix2pix.training.tuning_results import read_results, write_results

_TRIVIAL = 10**9  # multiplications of a forward pass, a few milliseconds of a CPU core
_LEAST_STEPS = 200  # shorter runs are not measured; measuring takes as long as about 8 steps
_LEAST_GAIN = 1.05
_BUDGET = 10.0  # seconds for all measurements of a run
_LONG = 1.0  # seconds of a step; compared with longer ones, the one-time work of the first step is negligible
_TOLERANCE = 0.02  # relative difference of one step's losses from those of fp32
_MOST = 4 * 10**10  # multiplications; on a CPU larger batches are measured with fewer images


def choose_execution(
    config: Config, networks: Networks, objective: ObjectivePair, pairs: int, fresh: bool = False
) -> Execution:
    """Return how to compute the networks of a run: as the config says, or with `auto` the fastest measured way.

    A run that is resumed keeps its number format, and on the same kind of device its memory format. If a step is
    trivial, the run is short or `run.deterministic` is set, `auto` is fp32. Otherwise the fastest candidate is chosen
    whose losses differ by at most 2 % from those of fp32; it must be at least 5 % faster than fp32 in contiguous
    format. Measuring ends after 10 seconds; what is not measured by then is not chosen. Complete results are remembered
    by machine, torch version, networks and shapes. Networks, gradients and random generators stay as they are. With
    several ranks all measure, since some networks communicate, and the first one decides.
    """
    if config.run.precision != "auto":
        return configured(config)
    known = None if fresh else _resumed(config, device_name(networks.device))
    if known is None and networks.device.type not in ("cpu", "cuda"):
        known = PLAIN
    trial = _Trial(config, networks, objective)
    steps = config.schedule.epochs * -(-pairs // config.data.batch_size)
    if known is None and (config.run.deterministic or steps < _LEAST_STEPS or trial.multiplications < _TRIVIAL):
        known = PLAIN
    path = cache_folder() / "speed.json"
    if known is None:
        known = read_results(path).get(trial.key)
    index = -1 if known is None else index_of(known)
    index = distributed.largest(index if distributed.rank() == 0 else -1)
    if index >= 0:
        return known if known is not None and distributed.rank() == 0 else CANDIDATES[index]
    info("measuring which number format is the fastest here")
    chosen = trial.fastest()
    index = distributed.largest(index_of(chosen) if distributed.rank() == 0 else -1)
    if distributed.rank() > 0:
        return CANDIDATES[index]
    if trial.complete:
        write_results(path, read_results(path) | {trial.key: chosen})
    return chosen


def _resumed(config: Config, device: str) -> Execution | None:
    """Return how the run has computed so far; None where it has no checkpoint.

    The memory format is fast on the kind of device where it was measured, and with one rank.
    """
    environment = newest_environment(run_path(config) / CHECKPOINTS)
    execution = recorded(environment)
    if execution is None or not isinstance(environment, dict):
        return None
    same = environment.get("device") == device and distributed.world_size() == 1
    return execution if same else Execution(execution.precision)


class _UnmeasuredError(Exception):
    """The time for measuring is used up, or the networks cannot be copied; on all ranks."""


class _Trial:
    """Steps of copies of a run's networks on random images; `complete` is whether all candidates were measured."""

    def __init__(self, config: Config, networks: Networks, objective: ObjectivePair):
        self.networks, self.objective, self.device = networks, objective, networks.device
        # A network whose cost is unknown is not measured.
        known = [cost.multiplications for cost in networks.costs if cost is not None]
        each = sum(known) if len(known) == 2 else 0
        images = micro_batch_size(config)
        self.multiplications = images * each
        while self.device.type == "cpu" and images > 1 and images * each > _MOST:
            images = -(-images // 2)
        self.shapes = [(images, channels, *config.data.crop) for channels in networks.formats.channels]
        self.complete, self.deadline = True, math.inf

    @property
    def key(self) -> str:
        """Everything that a measurement depends on."""
        networks = self.networks
        parts = [
            *(str(torch.__version__), platform.node(), platform.processor() or platform.machine()),
            *(device_name(self.device), torch.get_num_threads(), distributed.world_size(), self.shapes),
            *(str(networks.generator), str(networks.discriminator), repr(self.objective)),
        ]
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()

    def fastest(self) -> Execution:
        """Measure each number format, then the other memory format with the better one; return the fastest.

        Candidates that cannot be measured, for lack of time or memory, are not chosen.
        """
        rng = torch.Generator().manual_seed(0)
        x, y = ((torch.rand(shape, generator=rng) * 2 - 1).to(self.device) for shape in self.shapes)
        self.deadline = time.monotonic() + _BUDGET
        steps: list[_Step] = []
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            try:
                self._measure(steps, x, y)
            except _UnmeasuredError as error:
                self.complete = False
                info(str(error) or f"a step takes too long to measure all formats in {_BUDGET:.0f} s")
            except (MemoryError, RuntimeError) as error:
                if distributed.world_size() > 1 or not is_out_of_memory(error):
                    raise
                self.complete = False
                debug("measuring ended for lack of memory")
        if len(steps) < 2 and not self.complete:
            return PLAIN
        plain = steps[0]
        debug("; ".join(f"{step.execution}: {1000 * step.seconds:.1f} ms" for step in steps))
        best = min(steps, key=lambda step: step.seconds)
        gain = plain.seconds / best.seconds
        return replace(best.execution, speed_up=round(gain, 3)) if gain >= _LEAST_GAIN else replace(PLAIN, speed_up=1.0)

    def _measure(self, steps: "list[_Step]", x: Tensor, y: Tensor) -> None:
        """Append the plain step, and those of the other candidates that have the same losses."""
        plain = _Step(self, PLAIN, x, y)
        steps.append(plain)
        half = _Step(self, Execution("bf16"), x, y, plain.copies)
        steps += [half] if half.agrees(plain) else []
        if distributed.world_size() > 1:  # DistributedDataParallel has fixed the format of the gradients
            return
        best = min(steps, key=lambda step: step.seconds)
        other = _Step(self, replace(best.execution, memory_format=CHANNELS_LAST), x, y)
        steps += [other] if other.agrees(plain) else []
        least = min(step.seconds for step in steps)
        for step in steps:
            if least < _LONG and step.seconds < 1.25 * least:  # too close to trust a single timing
                step.time()

    def require_time(self, *_: Any) -> None:
        """Raise _UnmeasuredError if the time for measuring is used up."""
        if time.monotonic() > self.deadline:
            raise _UnmeasuredError

    def limit(self, network: nn.Module) -> None:
        """Make a network check the time after each layer, forwards and backwards, since a step may take minutes."""

        def check(module: nn.Module, args: Any, output: Any) -> None:
            self.require_time()
            if isinstance(output, Tensor) and output.requires_grad:
                output.register_hook(self.require_time)  # type: ignore[no-untyped-call]

        for module in network.modules():
            module.register_forward_hook(check)


class _Step:
    """Forward and backward passes of an update without optimizers, on new copies of the networks or on `copies`."""

    def __init__(
        self, trial: _Trial, execution: Execution, x: Tensor, y: Tensor, copies: Sequence[nn.Module] | None = None
    ):
        networks = trial.networks
        self.trial = trial
        self.objective, self.execution, self.x, self.y = trial.objective, execution, x, y
        if copies is None:
            copies = _copies(networks)
            if distributed.world_size() == 1:  # networks that communicate must all end at the same layer
                for network in copies:
                    trial.limit(network)
        self.copies = copies
        self.generator, self.discriminator = self.copies
        if execution.memory_format == CHANNELS_LAST:
            for network, cost in zip((self.generator, self.discriminator), networks.costs, strict=True):
                pixels = cost.pixels if cost is not None else {}
                use_channels_last(network, {name: len(x) * count for name, count in pixels.items()})
        self.seconds, start = math.inf, time.monotonic()
        self.losses = self.time()
        taken = time.monotonic() - start
        if execution == PLAIN and distributed.any_rank(taken > _BUDGET / 3):  # too little time is left for the others
            raise _UnmeasuredError
        if execution == PLAIN or not distributed.any_rank(taken > _LONG):
            self.seconds = math.inf  # the first call includes one-time work
            self.losses = self.time()

    def time(self) -> dict[str, float]:
        """Run the step, and update `seconds` if it was faster than before; return the losses.

        Raises Stopped and _UnmeasuredError. All ranks run the same number of steps, since some networks communicate.
        """
        if distributed.world_size() == 1:
            raise_if_stopped()
        if distributed.any_rank(time.monotonic() > self.trial.deadline):
            raise _UnmeasuredError
        torch.manual_seed(0)  # the same dropout for all
        clock = time.process_time if self.x.device.type == "cpu" else time.perf_counter  # ignores other programs
        _wait(self.x.device)
        start = clock()
        fake = self._run(self.generator, self.x)
        d = self.objective.discriminator(self._logits, self.x, self.y, fake.detach())
        d.loss.backward()  # type: ignore[no-untyped-call]
        with frozen(self.discriminator):
            g = self.objective.generator(self._logits, self.x, self.y, fake)
            g.loss.backward()  # type: ignore[no-untyped-call]
        _wait(self.x.device)
        self.seconds = min(self.seconds, clock() - start)
        for network in (self.generator, self.discriminator):
            network.zero_grad()  # frees the gradients
        return {name: float(value.detach()) for name, value in (d.named("d") | g.named("g")).items()}

    def agrees(self, plain: "_Step") -> bool:
        """Return whether the losses are those of `plain` within 2 %, or within 0.002 where they are small."""
        agree = all(
            abs(self.losses[name] - value) <= _TOLERANCE * max(abs(value), 0.1) for name, value in plain.losses.items()
        )
        if not agree:
            debug(f"{self.execution}: losses {self.losses} instead of {plain.losses}; not used")
        return agree

    def _run(self, network: nn.Module, *images: Tensor) -> Tensor:
        with autocast(self.x.device, self.execution.precision):
            out: Tensor = network(*images)
        return out.to(self.x.dtype)

    def _logits(self, condition: Tensor, image: Tensor) -> Tensor:
        return self._run(self.discriminator, condition, image)


def _copies(networks: Networks) -> list[nn.Module]:
    """Copy both networks. Raises _UnmeasuredError where one cannot be copied, since it holds results of its layers."""
    copies = []
    try:
        copies = [copy.deepcopy(network) for network in (networks.generator, networks.discriminator)]
    except (RuntimeError, TypeError) as error:
        debug(f"the networks cannot be copied ({error})")
    if distributed.any_rank(not copies):
        raise _UnmeasuredError("the networks cannot be copied, so nothing is measured")
    return copies


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
