"""Train an image-to-image network with a conditional adversarial network (Isola et al., CVPR 2017)."""

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pix2pix.config import Config, learning_rate
from pix2pix.data.augment.apply import prepare
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.data.training_data import open_training_data
from pix2pix.errors import ConfigError, DataError
from pix2pix.objective import ConditionalGAN, Discriminator, Objective, ObjectivePair
from pix2pix.runtime import distributed
from pix2pix.runtime.device import deterministic, pick_device
from pix2pix.runtime.distributed import in_lockstep
from pix2pix.runtime.finite import FiniteGuard
from pix2pix.runtime.log import info
from pix2pix.runtime.rng import STEP, seed_torch
from pix2pix.runtime.signals import Stopped, stop_when
from pix2pix.training.networks import Networks, Player
from pix2pix.training.run import open_run
from pix2pix.training.state import TrainState

OnStep = Callable[[TrainState, dict[str, Tensor]], None]
OnEpoch = Callable[[TrainState, dict[str, float]], None]


@dataclass
class MicroBatch:
    """The pairs that go through the networks at once; `weight` scales their losses to the global batch mean."""

    x: Tensor
    y: Tensor
    weight: float
    number: int
    fake: Tensor | None = None


class Trainer:
    """Trains a generator against a discriminator as a config says.

    `Trainer(config).fit()` does a whole run in the directory `config.run.output`, and resumes where it stopped before.
    `train_step(x, y)` is one update, for a loop of your own. Neither data nor directory is touched before `fit`.

    What is given by keyword replaces what the config would build: `generator` and `discriminator`, modules from
    [B, C, H, W] in [-1, 1] to such images, and from (condition, image) to logits; `train_data` and `val_data`,
    map-style data sets whose items are dicts of `input` and `target`, [C, H, W]; `objective`, as `pix2pix.objective`
    describes; `formats`, what inputs and targets are. `on_step(state, metrics)` is called after each update with its
    scalars, `on_epoch(state, metrics)` after each epoch with what validation found.

    Attributes: `state` (`TrainState`), `networks` (`Networks`, made on first use since their channels follow from the
    data), and for short `generator`, `discriminator` and `ema_generator`.

    Raises ConfigError where the config cannot be carried out on this machine.
    """

    def __init__(
        self,
        config: Config,
        *,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        objective: ObjectivePair | None = None,
        train_data: Dataset[dict[str, Any]] | None = None,
        val_data: Dataset[dict[str, Any]] | None = None,
        formats: PairFormat | None = None,
        on_step: OnStep | None = None,
        on_epoch: OnEpoch | None = None,
    ):
        self.config, self.formats, self.device = config, formats, pick_device(config.run.device)
        self.objective = objective or ConditionalGAN(**config.loss.model_dump())
        self.state, self.guard = TrainState(), FiniteGuard(self.device)
        self._own_networks = {"generator": generator, "discriminator": discriminator}
        self._own_data = {"train_data": train_data, "val_data": val_data}
        self._on_step, self._on_epoch = on_step, on_epoch

    # One update

    def train_step(
        self, x: Tensor, y: Tensor, local_batch_size: int | None = None, global_batch_size: int | None = None
    ) -> dict[str, Tensor]:
        """Update both networks on inputs `x` and targets `y`, [B, C, H, W] in [-1, 1] (the paper's section 3.3).

        Of several ranks each brings `local_batch_size` of the `global_batch_size` pairs; a rank whose share is 0 brings
        a pair that does not count. Return the losses as scalars of the whole batch: `d/real`, `d/fake`, `g/gan`, `g/l1`
        (unweighted) and the objectives `d/loss` and `g/loss`. Both updates judge the same fake; the second one meets
        the network that the first has updated. From the first non-finite loss or gradient on, no update changes
        anything: `guard.first()` names it.
        """
        local = len(x) if local_batch_size is None else local_batch_size
        world = distributed.world_size()
        total = local * world if global_batch_size is None else global_batch_size
        batch = self._micro_batches(x, y, local * world / total)
        updates = [self._update_discriminator, self._update_generator]
        if self.config.schedule.update_order == "generator-first":
            updates.reverse()
        metrics = updates[0](batch) | updates[1](batch)
        self.networks.update_ema()
        self.state.step += 1
        self.state.samples_seen += total
        return metrics

    def _update_discriminator(self, batch: list[MicroBatch]) -> dict[str, Tensor]:
        d = self.networks.d
        self.discriminator.requires_grad_(True)
        return self._optimizer_step(
            d, batch, lambda b: self.objective.discriminator(self._judge(d.ddp), b.x, b.y, self._fake(b).detach())
        )

    def _update_generator(self, batch: list[MicroBatch]) -> dict[str, Tensor]:
        judge = self._judge(self.discriminator)
        self.discriminator.requires_grad_(False)  # gradients pass through it and are not kept
        return self._optimizer_step(
            self.networks.g, batch, lambda b: self.objective.generator(judge, b.x, b.y, self._fake(b, learning=True))
        )

    def _optimizer_step(
        self, player: Player, batch: list[MicroBatch], objective: Callable[[MicroBatch], Objective]
    ) -> dict[str, Tensor]:
        """Backpropagate the objective and step, unless any value was ever non-finite; return the loss and its terms."""
        sums: dict[str, Tensor] = {}
        player.optimizer.zero_grad(set_to_none=True)
        for part in distributed.no_sync_but_last(player.ddp, batch):
            found = objective(part)
            if not isinstance(found, Objective):
                raise ConfigError(
                    f"the objective {type(self.objective).__name__} returned a {type(found).__name__}; return a "
                    "pix2pix.objective.Objective(loss, terms)"
                )
            weighted = {name: term * part.weight for name, term in found.named(player.name).items()}
            weighted[f"{player.name}/loss"].backward()
            sums = {name: term.detach() + sums.get(name, 0) for name, term in weighted.items()}
            if len(batch) > 1 and part.fake is not None:
                part.fake = part.fake.detach()  # frees the graph that made it
        metrics = distributed.mean(sums)
        self.guard.apply(player.optimizer, player.name, metrics, self.state.step + 1)
        return metrics

    def _micro_batches(self, x: Tensor, y: Tensor, weight: float) -> list[MicroBatch]:
        steps = self.config.optimizer.accumulation_steps
        first = distributed.rank() * steps
        pairs = zip(x.chunk(steps), y.chunk(steps), strict=True)
        return [MicroBatch(*pair, weight * len(pair[0]) / len(x), number) for number, pair in enumerate(pairs, first)]

    def _fake(self, batch: MicroBatch, learning: bool = False) -> Tensor:
        """Generate the micro-batch's images once; of several micro-batches again, from the same seed, to learn."""
        if batch.fake is None or (learning and not batch.fake.requires_grad):
            graph = learning or self.config.optimizer.accumulation_steps == 1
            # Dropout follows from the step and the micro-batch alone.
            numbers = (batch.number,) if batch.number else ()
            seed_torch(self.config.run.seed, STEP, self.state.step, *numbers)
            network = self.networks.g.ddp if graph else self.generator
            with self.networks.autocast(), torch.set_grad_enabled(graph):
                batch.fake = network(batch.x).to(batch.x.dtype)
        return batch.fake

    def _judge(self, network: nn.Module) -> Discriminator:
        """Return the discriminator as a function whose logits have the image's number type."""

        def judge(condition: Tensor, image: Tensor) -> Tensor:
            with self.networks.autocast():
                logits = network(condition, image)
            return logits.to(image.dtype)

        return judge

    # A whole run

    def fit(
        self,
        resume: bool = False,
        fresh: bool = False,
        allow_changed: Collection[str] = (),
        stop: Callable[[], bool] | None = None,
    ) -> bool:
        """Train to the end of the schedule; True when done, False when a stop was asked for and all is saved.

        `resume` fails unless a checkpoint exists, `fresh` moves an earlier run aside, and `allow_changed` names the
        keys in which an earlier run's config may differ. `stop` is asked between steps, in validation and in sampling,
        beside the signals that the command line listens to. Raises DataError, CheckpointError or ConfigError, before
        the first step where it can; NonFiniteError.
        """
        state, config = self.state, self.config
        with ExitStack() as stack, deterministic(config.run.deterministic), stop_when(stop):
            run = None
            try:
                data = open_training_data(config.data, self.formats, **self._own_data)
                self._use_formats(data.formats)
                opening = open_run(config, self.networks, data, state, self.guard, resume, fresh, allow_changed)
                if (run := stack.enter_context(opening)) is None:
                    return True
                run.run_pending(state)
                while state.epoch < config.schedule.epochs:
                    rate = learning_rate(config, state.epoch + 1)
                    self.networks.set_learning_rate(rate)
                    batches = run.loader.epoch(state.epoch, state.position)
                    for batch in in_lockstep(batches):
                        sizes = run.batch_sizes(state)
                        x, y = prepare(batch, self.device, config.data.augment, config.data.crop, data.formats)
                        metrics = self.train_step(x, y, *sizes)
                        run.after_step(state, metrics, batch["index"], sizes[1], rate)
                        if self._on_step is not None:
                            self._on_step(state, metrics)
                    found = run.end_epoch(state)
                    if self._on_epoch is not None:
                        self._on_epoch(state, found)
            except Stopped:
                if run is None:
                    info("stopped with nothing to save; the same command starts again")
                else:
                    run.stop(state)
                return False
            except DataError as error:  # between two updates, so that the networks are whole
                raise error if run is None else run.save_before(state, error) from None
            info(f"done: {state.epoch} epochs, {state.step} steps; weights in {run.directory / 'gen.pt'}")
            return True

    # What is trained

    @cached_property
    def networks(self) -> Networks:
        """The networks and their optimizers, made when they are first asked for."""
        return Networks(self.config, self.formats or PairFormat(), self.device, **self._own_networks)

    def _use_formats(self, formats: PairFormat) -> None:
        """Take the data's formats. Raises ConfigError where the networks were made for others."""
        if "networks" in vars(self) and self.networks.formats.channels != formats.channels:
            made, needed = self.networks.formats.channels, formats.channels
            raise ConfigError(
                f"the networks were made for {made[0]} and {made[1]} channels and the data have {needed[0]} and "
                f"{needed[1]}; give Trainer(config, formats=...)"
            )
        self.formats = formats

    @property
    def generator(self) -> nn.Module:
        """The generator; one of your own is given as `Trainer(config, generator=...)`."""
        return self.networks.generator

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator; one of your own is given as `Trainer(config, discriminator=...)`."""
        return self.networks.discriminator

    @property
    def ema_generator(self) -> nn.Module | None:
        """The averaged generator, or None."""
        return self.networks.ema_generator

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("generator", "discriminator", "ema_generator"):
            keyword = name.removeprefix("ema_")
            raise ConfigError(f"trainer.{name} cannot be assigned; give Trainer(config, {keyword}=...) instead")
        super().__setattr__(name, value)
