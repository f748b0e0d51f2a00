"""Train an image-to-image network with a conditional adversarial network (Isola et al., CVPR 2017)."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from functools import cached_property

import torch
from torch import Tensor, nn

from pix2pix.config import Config, learning_rate
from pix2pix.data.augment.apply import prepare
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.data.own_pairs import MapDataset
from pix2pix.data.training_data import open_training_data
from pix2pix.errors import ConfigError, DataError
from pix2pix.models import frozen, inference
from pix2pix.objective import ConditionalGAN, Discriminator, Objective, ObjectivePair
from pix2pix.runtime import distributed
from pix2pix.runtime.device import deterministic, pick_device
from pix2pix.runtime.distributed import in_lockstep
from pix2pix.runtime.finite import FiniteGuard
from pix2pix.runtime.log import info
from pix2pix.runtime.signals import Stopped, stop_when
from pix2pix.runtime.transfer import Transfer
from pix2pix.training.graph import Step, StepGraph, require_cuda_graph
from pix2pix.training.micro_batch import MicroBatch, split_batch
from pix2pix.training.networks import Networks, Player
from pix2pix.training.own_parts import try_objective
from pix2pix.training.peak_memory import memory_errors
from pix2pix.training.run import Run, open_run
from pix2pix.training.state import TrainState
from pix2pix.training.tuning import choose_execution

OnStep = Callable[[TrainState, dict[str, Tensor]], None]
OnEpoch = Callable[[TrainState, dict[str, float]], None]


class Trainer:
    """Trains a generator against a discriminator as a config says.

    `Trainer(config).fit()` trains in the directory `config.run.output`, and resumes an earlier run there.
    `train_step(x, y)` is one update, for a loop of your own. `Trainer(config)` itself reads and writes no files.

    Each keyword replaces what the config would build:
    `generator`: a module from inputs [B, C, H, W] in [-1, 1] to images of the targets' shape and range.
    `discriminator`: a module from (condition, image) to logits.
    `train_data`, `val_data`: map-style data sets whose items are dicts of `input` and `target`, [C, H, W].
    `objective`: what the networks minimise, as `pix2pix.objective` describes.
    `formats`: the image formats of inputs and targets. By default `fit` infers them from the data; before `fit`, RGB.
    `on_step(state, metrics)` is called after each update with its scalars, and `on_epoch(state, metrics)` after each
    epoch with its validation L1 as `val/l1`, where one was due.

    Attributes: `state` (`TrainState`); `networks` (`Networks`), built on first use, since their channels depend on the
    data; and the shortcuts `generator`, `discriminator` and `ema_generator`.

    Raises ConfigError where the config asks for a device that this machine lacks, or for a CUDA graph elsewhere.
    """

    def __init__(
        self,
        config: Config,
        *,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        objective: ObjectivePair | None = None,
        train_data: MapDataset | None = None,
        val_data: MapDataset | None = None,
        formats: PairFormat | None = None,
        on_step: OnStep | None = None,
        on_epoch: OnEpoch | None = None,
    ):
        self.config, self.formats, self.device = config, formats, pick_device(config.run.device)
        self.objective = ConditionalGAN(**config.loss.model_dump()) if objective is None else objective
        self.state, self.guard = TrainState(), FiniteGuard(self.device)
        self._own_networks = (generator, discriminator)
        self._own_data = (train_data, val_data)
        given = (generator, discriminator, objective, train_data, val_data, formats)
        self._has_own_parts = any(part is not None for part in given)
        self._on_step, self._on_epoch = on_step, on_epoch
        require_cuda_graph(config, self.device)
        self._transfer = Transfer(self.device) if config.run.cuda_graph else None
        self._run_step: Step = self._update_both
        if config.run.cuda_graph:
            self._run_step = StepGraph(self._update_both, self._changing_tensors, config.data.batch_size)

    # One update

    def train_step(
        self, x: Tensor, y: Tensor, local_batch_size: int | None = None, global_batch_size: int | None = None
    ) -> dict[str, Tensor]:
        """Update both networks on inputs `x` and targets `y`, [B, C, H, W] in [-1, 1] (the paper's section 3.3).

        With several ranks, each passes its `local_batch_size` of the `global_batch_size` pairs; a rank without pairs
        passes a placeholder pair and `local_batch_size` 0. Return the losses, scalars of the global batch: `d/real`,
        `d/fake`, `g/gan`, `g/l1` (unweighted) and the objectives `d/loss` and `g/loss`. Both updates use the same fake;
        the second one uses the network that the first has updated. From the first non-finite loss or gradient on,
        updates change nothing, and `guard.first()` returns its step and name.

        Where the format of the targets allows pixels without a value, those are NaN in `y`. There the real and the fake
        image are both 0 for the objective: their error counts as 0 in the mean, whatever the micro-batch or rank.
        """
        local = len(x) if local_batch_size is None else local_batch_size
        world = distributed.world_size()
        total = local * world if global_batch_size is None else global_batch_size
        self.networks.seed_dropout(self.state.step, distributed.rank() * self.config.optimizer.accumulation_steps)
        metrics = self._run_step(x, y, local * world / total, self.state.step + 1)
        self.state.step += 1
        self.state.samples_seen += total
        return metrics

    def _update_both(self, x: Tensor, y: Tensor, weight: float, step: int | Tensor) -> dict[str, Tensor]:
        """Update both networks and the average; `step`, from 1, is a tensor in a CUDA graph, as all that changes."""
        steps, ignores = self.config.optimizer.accumulation_steps, self.networks.formats.target.ignores
        batch = split_batch(x, y, weight, steps, ignores)
        if self.config.schedule.update_order == "discriminator-first":  # the paper's
            metrics = self._update_discriminator(batch, step) | self._update_generator(batch, step)
        else:  # the tutorial's
            metrics = self._update_generator(batch, step) | self._update_discriminator(batch, step)
        self.networks.update_ema()
        return metrics

    def _update_discriminator(self, batch: list[MicroBatch], step: int | Tensor) -> dict[str, Tensor]:
        """Update the discriminator (equation 1); no gradient reaches the generator."""
        return self._optimizer_step(self.networks.d, self._discriminator_objective, batch, step)

    def _update_generator(self, batch: list[MicroBatch], step: int | Tensor) -> dict[str, Tensor]:
        """Update the generator (equation 4); gradients pass through the discriminator, which accumulates none."""
        with frozen(self.discriminator):
            return self._optimizer_step(self.networks.g, self._generator_objective, batch, step)

    def _discriminator_objective(self, part: MicroBatch) -> Objective:
        d = self._logits(self.networks.d.ddp)
        return self.objective.discriminator(d, part.x, part.y, self._fake(part).detach())

    def _generator_objective(self, part: MicroBatch) -> Objective:
        d = self._logits(self.discriminator)
        return self.objective.generator(d, part.x, part.y, self._fake(part, learning=True))

    def _optimizer_step(
        self, player: Player, objective: Callable[[MicroBatch], Objective], batch: list[MicroBatch], step: int | Tensor
    ) -> dict[str, Tensor]:
        """Backpropagate and step; return the loss and its terms."""
        sums: dict[str, Tensor] = {}
        player.optimizer.zero_grad()
        for part in distributed.no_sync_but_last(player.ddp, batch):
            result = objective(part)
            weighted = {name: term * part.weight for name, term in result.named(player.name).items()}
            torch.autograd.backward(weighted[f"{player.name}/loss"])
            sums = {name: term.detach() + sums.get(name, 0) for name, term in weighted.items()}
            if len(batch) > 1 and part.fake is not None:
                part.fake = part.fake.detach()  # frees the graph of the generator
        metrics = distributed.mean(sums)
        self._apply(player, metrics, step)
        return metrics

    def _apply(self, player: Player, metrics: dict[str, Tensor], step: int | Tensor) -> None:
        """Step, unless a value is or was non-finite."""
        player.optimizer.step(self.guard.check(player.name, metrics, player.ddp, step))

    def _fake(self, batch: MicroBatch, learning: bool = False) -> Tensor:
        """Return the generator's images for a micro-batch; they are computed once where memory allows.

        With several micro-batches, the images for the discriminator's update are computed without a graph, and
        `learning` computes the same images again with one, from the same seed.
        """
        if batch.fake is None or (learning and not batch.fake.requires_grad):
            split = self.config.optimizer.accumulation_steps > 1
            graph = learning or not split
            if split:
                self.networks.seed_dropout(self.state.step, batch.number)
            network = self.networks.g.ddp if graph else self.generator
            with self.networks.autocast(), torch.set_grad_enabled(graph):
                fake: Tensor = network(batch.x)
            fake = fake.to(batch.x.dtype)
            batch.fake = fake if batch.ignored is None else fake.masked_fill(batch.ignored, 0)
        return batch.fake

    def _changing_tensors(self) -> list[Tensor]:
        """Return every tensor that an update changes."""
        return self.networks.state_tensors() + self.guard.tensors()

    def _logits(self, discriminator: nn.Module) -> Discriminator:
        """Return the discriminator as a function whose logits have the image's dtype."""

        def logits(condition: Tensor, image: Tensor) -> Tensor:
            with self.networks.autocast():
                out: Tensor = discriminator(condition, image)
            return out.to(image.dtype)

        return logits

    # A whole run

    def fit(
        self,
        resume: bool = False,
        fresh: bool = False,
        allow_changed: Collection[str] = (),
        stop: Callable[[], bool] | None = None,
    ) -> bool:
        """Train to the end of the schedule; return True when done, False when it was stopped and has saved.

        `resume` fails unless a checkpoint exists, `fresh` moves an earlier run aside, and `allow_changed` names the
        config keys that may differ from an earlier run's. `stop` is called between steps and during validation and
        sampling; training stops once it returns True, as after a signal to the command line. Raises DataError,
        CheckpointError or ConfigError, before the first step where possible; NonFiniteError; MemoryLimitError.
        """
        state, config = self.state, self.config
        with ExitStack() as stack, deterministic(config.run.deterministic), stop_when(stop):
            run = None
            try:
                data = open_training_data(config.data, self.formats, *self._own_data)
                self._use_formats(data.formats)
                stack.enter_context(memory_errors(config, self.networks))
                self._require_objective()
                execution = choose_execution(config, self.networks, self.objective, len(data.train), fresh)
                self.networks.use(execution)
                parts = self.networks, data, state, self.guard, self._has_own_parts
                opening = open_run(config, *parts, resume, fresh, allow_changed)
                if (run := stack.enter_context(opening)) is None:
                    return True
                run.run_pending(state)
                while state.epoch < config.schedule.epochs:
                    rate = learning_rate(config, state.epoch + 1)
                    self.networks.set_learning_rate(rate)
                    for batch in self._batches(run):
                        sizes = run.batch_sizes(state)
                        x, y = self._prepare(batch)
                        metrics = self.train_step(x, y, *sizes)
                        run.after_step(state, metrics, batch["index"], sizes[1], rate)
                        if self._on_step is not None:
                            self._on_step(state, metrics)
                    validation = run.end_epoch(state)
                    if self._on_epoch is not None:
                        self._on_epoch(state, validation)
            except Stopped:
                if run is None:
                    info("stopped with nothing to save; the same command starts again")
                else:
                    run.stop(state)
                return False
            except DataError as error:  # raised between two updates, so the networks are intact
                raise error if run is None else run.save_before(state, error) from None
            info(f"done: {state.epoch} epochs, {state.step} steps; weights in {run.directory / 'gen.pt'}")
            return True

    def _batches(self, run: Run) -> Iterator[dict[str, Tensor]]:
        return in_lockstep(run.loader.epoch(self.state.epoch, self.state.position))

    def _prepare(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        data, formats = self.config.data, self.networks.formats
        batch = batch if self._transfer is None else self._transfer(batch, formats.parts)
        return prepare(batch, self.device, data.augment, data.crop, formats)

    # What is trained

    @cached_property
    def networks(self) -> Networks:
        """The networks and their optimizers, built on first use."""
        return Networks(self.config, self.formats or PairFormat(), self.device, *self._own_networks)

    def _require_objective(self) -> None:
        """Raise ConfigError unless a given objective returns an Objective for both networks."""
        if isinstance(self.objective, ConditionalGAN):
            return
        x, y = (torch.zeros(1, c, *self.config.data.crop, device=self.device) for c in self.networks.formats.channels)
        with inference(self.generator), inference(self.discriminator), torch.enable_grad():
            try_objective(self.objective, self._logits(self.discriminator), x, y)

    def _use_formats(self, formats: PairFormat) -> None:
        """Take the data's formats. Raises ConfigError where the networks were built for others."""
        if "networks" in vars(self) and self.networks.formats.channels != formats.channels:
            made, needed = self.networks.formats.channels, formats.channels
            raise ConfigError(
                f"the networks were built for inputs of {made[0]} and targets of {made[1]} channels, and the data have "
                f"{needed[0]} and {needed[1]}; give Trainer(config, formats=...)"
            )
        self.formats = self.networks.formats = formats

    @property
    def generator(self) -> nn.Module:
        """The generator; to train another one, give `Trainer(config, generator=...)`."""
        return self.networks.generator

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator; to train another one, give `Trainer(config, discriminator=...)`."""
        return self.networks.discriminator

    @property
    def ema_generator(self) -> nn.Module | None:
        """The averaged copy of the generator, or None unless `run.ema` is set."""
        return self.networks.ema_generator

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("generator", "discriminator", "ema_generator"):
            remedy = "run.ema in the config" if name == "ema_generator" else f"Trainer(config, {name}=...)"
            raise ConfigError(f"trainer.{name} cannot be assigned; give {remedy} instead")
        super().__setattr__(name, value)
