"""The training of image-to-image translation with conditional adversarial networks (Isola et al., CVPR 2017)."""

import copy
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pix2pix import epoch_end, keeping, losses
from pix2pix.config import Config, learning_rate
from pix2pix.data.augment import prepare
from pix2pix.data.cache import Room
from pix2pix.data.dataset import PairedDataset, open_fixed, open_split, validation_split
from pix2pix.data.fingerprint import fingerprint
from pix2pix.data.forms import Forms
from pix2pix.data.loader import open_loader
from pix2pix.data.pairs import available_splits
from pix2pix.data.survey import find_forms
from pix2pix.errors import DataError
from pix2pix.identity import surroundings
from pix2pix.models import follow, inference
from pix2pix.networks import build_discriminator, build_generator, require_equal_shares, synchronise_norms
from pix2pix.plan import describe, estimate, steps_left
from pix2pix.run_folder import keep_config, open_run, run_id, run_path
from pix2pix.runtime import distributed
from pix2pix.runtime.acceleration import autocast, deterministic, pick_device
from pix2pix.runtime.console import say
from pix2pix.runtime.distributed import any_rank, first_rank_first, share, stopped_together, together
from pix2pix.runtime.finite import FiniteGuard
from pix2pix.runtime.rng import INIT, STEP, seed_torch
from pix2pix.runtime.signals import Stopped
from pix2pix.tracking import Tracker
from pix2pix.validation import Stop, mean_l1


@dataclass
class Part:
    """What goes through the networks at once: `weight` makes sums over the parts of all ranks means over the batch."""

    x: Tensor
    y: Tensor
    weight: float
    number: int
    fake: Tensor | None = None


class Trainer:
    """Trains a generator against a discriminator as a config says.

    `Trainer(config).fit()` does a whole run in the folder `config.run.output`, going on where it stopped before.
    `train_step(x, y)` is one update, for a loop of one's own. Attributes: `generator`, `discriminator`, `ema` (the
    averaged generator or None), `generator_optimizer`, `discriminator_optimizer`, `step` (updates done),
    `samples_seen` (pairs trained on, which drives order, randomness and schedule). `forms`: what inputs and targets
    are; by default the config and its data are asked.

    Raises ConfigError where the config cannot be carried out on this machine or data, DataError where there are none.
    """

    def __init__(self, config: Config, forms: Forms | None = None):
        self.config, self.forms = config, forms or find_forms(config.data)
        self.device = pick_device(config.run.device)
        seed_torch(config.run.seed, INIT)
        self.generator = build_generator(config, *self.forms.channels).to(self.device)
        self.discriminator = build_discriminator(config, *self.forms.channels).to(self.device)
        self.generator, self.discriminator = synchronise_norms(config, self.generator, self.discriminator)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False) if config.run.ema else None
        fused = self.device.type == "cuda" or None  # it can leave a step out without the host
        self.averaging_generator = distributed.averaging(self.generator)
        self.averaging_discriminator = distributed.averaging(self.discriminator)
        settings = {"lr": config.optimizer.lr, "betas": config.optimizer.betas, "fused": fused}
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), **settings)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), **settings)
        self.guard = FiniteGuard(self.device)
        self.step, self.samples_seen, self.saved_step = 0, 0, 0
        self.batches: dict[int, Tensor] = {}  # of the steps whose numbers nobody has looked at: indices into the data
        self.best, self.best_step = float("inf"), 0  # the lowest validation L1, and when

    # One update

    def train_step(self, x: Tensor, y: Tensor, own: int | None = None, total: int | None = None) -> dict[str, Tensor]:
        """Updates both networks on inputs `x` and targets `y`, [B, C, H, W] in [-1, 1] (the paper's section 3.3).

        Of several ranks, each brings its part of the batch: `own` of `total` pairs; where `own` is 0, x and y stand in
        and do not count. Returns the losses as scalars, of the whole batch: `d/real`, `d/fake`, `g/gan`, `g/l1`
        (unweighted), and the two objectives `d/loss` and `g/loss`. Both updates judge the same fake; in either order,
        the later one meets the earlier one's network. Where a loss or a gradient is not finite, this and every later
        update changes nothing: `guard.first()` tells.
        """
        own = len(x) if own is None else own
        total = own * distributed.count() if total is None else total
        parts = self._parts(x, y, own * distributed.count() / total)
        if self.config.schedule.update_order == "discriminator-first":
            report = self._update_discriminator(parts) | self._update_generator(parts)
        else:
            report = self._update_generator(parts) | self._update_discriminator(parts)
        if self.ema is not None:
            follow(self.ema, self.generator, self.config.run.ema)
        self.step += 1
        self.samples_seen += total
        return report

    def _parts(self, x: Tensor, y: Tensor, weight: float) -> list[Part]:
        """The micro-batches, each with its weight in the mean over all pairs of all ranks."""
        wanted = self.config.optimizer.accumulation_steps
        pairs = list(zip(x.chunk(wanted), y.chunk(wanted), strict=True))
        first = distributed.rank() * wanted
        return [Part(*pair, weight * len(pair[0]) / len(x), number) for number, pair in enumerate(pairs, first)]

    def _update_discriminator(self, parts: list[Part]) -> dict[str, Tensor]:
        """Real towards 1, fake towards 0, halved: it should not outrun the generator (section 3.3)."""
        loss = losses.ADVERSARIAL[self.config.loss.adversarial]
        judge = self.averaging_discriminator

        def terms(part: Part) -> dict[str, Tensor]:
            fake = self._generate(part).detach()
            # Two passes, not one over both: a batch norm would mix the statistics of real and fake.
            real_loss = loss(self._judge(judge, part.x, part.y), True)
            fake_loss = loss(self._judge(judge, part.x, fake), False)
            return {"d/loss": (real_loss + fake_loss) / 2, "d/real": real_loss, "d/fake": fake_loss}

        self.discriminator.requires_grad_(True)
        return self._descend(self.discriminator_optimizer, judge, parts, terms)

    def _update_generator(self, parts: list[Part]) -> dict[str, Tensor]:
        """Fake towards 1, and close to the target (eq. 4)."""
        settings = self.config.loss

        def terms(part: Part) -> dict[str, Tensor]:
            fake = self._generate(part, learning=True)
            condition = part.x if settings.generator_condition == "input" else part.y
            logits = self._judge(self.discriminator, condition, fake)
            gan = losses.generator_adversarial(logits, settings.adversarial)
            l1 = losses.l1(fake, part.y)
            return {"g/loss": settings.lambda_gan * gan + settings.lambda_l1 * l1, "g/gan": gan, "g/l1": l1}

        self.discriminator.requires_grad_(False)  # gradients pass through it and are not kept
        return self._descend(self.generator_optimizer, self.averaging_generator, parts, terms)

    def _descend(
        self, optimizer: Optimizer, network: nn.Module, parts: list[Part], terms: Callable[[Part], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Steps down the first of the terms, unless one of them or a gradient is not finite, now or before."""
        sums: dict[str, Tensor] = {}
        optimizer.zero_grad(set_to_none=True)
        for part in distributed.averaged_with_the_last(network, parts):
            weighted = {name: term * part.weight for name, term in terms(part).items()}
            next(iter(weighted.values())).backward()
            sums = {name: term.detach() + sums.get(name, 0) for name, term in weighted.items()}
            if len(parts) > 1:
                part.fake = part.fake.detach()  # what it was made of is not needed any more
        report = distributed.mean(sums)
        self.guard.apply(optimizer, report, self.step + 1)
        return report

    def _generate(self, part: Part, learning: bool = False) -> Tensor:
        """The generator's images: made once, or, of several parts, made anew from the same seed to learn from them."""
        if part.fake is None or (learning and not part.fake.requires_grad):
            graph = learning or self.config.optimizer.accumulation_steps == 1
            # Dropout follows from the step and the part alone.
            seed_torch(self.config.run.seed, STEP, self.step, *[part.number] * (part.number > 0))
            with self._autocast(), torch.set_grad_enabled(graph):
                part.fake = (self.averaging_generator if graph else self.generator)(part.x).to(part.x.dtype)
        return part.fake

    def _judge(self, discriminator: nn.Module, condition: Tensor, image: Tensor) -> Tensor:
        with self._autocast():
            logits = discriminator(condition, image)
        return logits.to(image.dtype)

    def _autocast(self):
        return autocast(self.device, self.config.run.precision)

    # A whole run

    def fit(
        self,
        resume: bool = False,
        fresh: bool = False,
        allow_changed: Collection[str] = (),
        stop: Stop = lambda: False,
    ) -> bool:
        """Trains to the end of the schedule; True when it got there, False when `stop()` said to stop and all is saved.

        `resume` insists that there is a run to go on with, `fresh` moves one aside, and `allow_changed` names the keys
        in which an earlier run's config may differ. Raises DataError, CheckpointError or ConfigError, before the first
        step where it can.
        """
        data = self.config.data
        with ExitStack() as leaving, deterministic(self.config.run.deterministic):
            try:
                if not self._open(leaving, stop, resume, fresh, allow_changed):
                    return True
                epoch_end.make_up_for(self, stop)
                while self.epoch < self.config.schedule.epochs:
                    rate, epoch = self._set_learning_rate(), self.epoch
                    start = self.samples_seen % len(self.train_data)
                    for batch in together(self.loader.epoch(epoch, start), stop):
                        pairs = self._count_pairs()
                        x, y = prepare(batch, self.device, data.augment, data.crop, self.forms)
                        report = self.train_step(x, y, *pairs)
                        self.batches[self.step] = batch["index"]
                        if self.tracker.is_due(self.step):
                            keeping.require_finite(self)
                        self.tracker.step(self.step, report, pairs[1], epoch=epoch + 1, lr=rate)
                        estimate(self.config, self.folder, self.tracker, self.step)
                    epoch_end.end(self, stop)
            except Stopped:
                return self._leave()
            except DataError as error:  # between two updates, so that the networks are whole
                raise keeping.save_before(self, error) from None
        say(f"done: {self.epoch} epochs, {self.step} steps; weights in {self.folder / 'gen.pt'}")
        return True

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self.samples_seen // len(self.train_data)

    def _open(self, leaving: ExitStack, stop: Stop, resume: bool, fresh: bool, allow_changed: Collection[str]) -> bool:
        """Finds the data, prints the plan, enters the run folder and its run; False where that is finished."""
        data = self.config.data
        room = Room()  # the splits share it
        split = validation_split(available_splits(data))
        with stopped_together():
            self.train_data = open_split(data, "train", data.load, room, self.forms, stop)
            self.val_data = open_fixed(data, split, room, self.forms, stop) if split else None
        require_equal_shares(self.config, len(self.train_data), self.generator, self.discriminator)
        validation = (split, self.val_data) if split else None
        plan = describe(self.config, self.train_data, validation, self.generator, self.discriminator, self.device)
        say(plan.split("\n"))
        pairs = {"train": fingerprint(self.train_data.pairs)}
        if split:
            pairs["val"] = fingerprint(self.val_data.pairs)
        self.surroundings = surroundings(self.config, self.device, pairs, self.forms, distributed.count())
        with first_rank_first():
            self.folder = run_path(self.config)
            if distributed.rank() == 0:
                leaving.enter_context(open_run(self.config, resume, fresh, allow_changed))
            self.run_id = run_id(self.folder)
            window = keeping.restore(self, allow_changed)
        keeping.require_agreement(self)
        if self.epoch >= self.config.schedule.epochs and not any_rank(bool(epoch_end.left_over(self))):
            say(
                f"this run is finished: {self.epoch} epochs, {self.step} steps; weights in {self.folder / 'gen.pt'}; "
                "--fresh starts it anew"
            )
            return False
        if distributed.rank() == 0:
            keep_config(self.config, self.folder)
            keeping.require_room(self)
        if self.step:
            say(f"continuing from step {self.step} (epoch {self.epoch + 1})")
        with stopped_together():
            for dataset in filter(None, (self.train_data, self.val_data)):
                dataset.prepare(progress=True, stop=stop, known=self.step > 0)
        loader = open_loader(data, self.train_data, self.config.run.seed, self.device.type == "cuda")
        self.loader = leaving.enter_context(loader)
        total = self.step + steps_left(self.config, self.train_data, self.samples_seen)
        self.tracker = Tracker(self.folder, total, self.config.run.log_every_steps, self.step, window)
        leaving.callback(self.tracker.close)
        return True

    def _count_pairs(self) -> tuple[int, int]:
        """Of the next batch: this rank's, and all."""
        left = len(self.train_data) - self.samples_seen % len(self.train_data)
        total = min(self.config.data.batch_size, left)
        return len(share(range(total), distributed.rank(), distributed.count())), total

    def _set_learning_rate(self) -> float:
        """Constant within an epoch. Returns the rate."""
        rate = learning_rate(self.config, self.epoch + 1)
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = rate
        return rate

    def _leave(self) -> bool:
        if self.step != self.saved_step:
            self.tracker.pause()
            keeping.save(self)
        what = f"all saved in {self.folder}" if self.step else "with nothing to save"
        say(f"stopped at step {self.step}, {what}; the same command goes on from here")
        return False

    @property
    def best_generator(self) -> nn.Module:
        """The network that is validated, sampled and handed out: the EMA where there is one."""
        return self.generator if self.ema is None else self.ema

    def translate(self, x: Tensor) -> Tensor:
        """[B, C, H, W] in [-1, 1] to the generator's images, in the one inference mode."""
        with inference(self.best_generator) as generator, self._autocast():
            return generator(x.to(self.device)).float()

    def validate(self, dataset: PairedDataset, stop: Stop = lambda: False) -> float:
        """The mean L1 between translations and targets of a data set, in [-1, 1] units."""
        return mean_l1(self.translate, dataset, stop)
