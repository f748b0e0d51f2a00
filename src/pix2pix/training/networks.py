"""The networks of a training run, their averaged copy and their optimizers."""

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pix2pix.config import Config
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.errors import ConfigError
from pix2pix.models import inference, update_ema
from pix2pix.models.build import build_discriminator, build_generator, convert_sync_batchnorm, micro_batch_size
from pix2pix.models.cost import ForwardCost, forward_cost, use_channels_last
from pix2pix.runtime import distributed
from pix2pix.runtime.device import autocast
from pix2pix.runtime.memory import resident_bytes
from pix2pix.runtime.rng import INIT, STEP, seed_torch
from pix2pix.training.adam import Adam
from pix2pix.training.execution import CHANNELS_LAST, Execution, configured
from pix2pix.training.own_parts import try_network


@dataclass(frozen=True)
class Player:
    """One of the two networks with its optimizer; `ddp` is the network wrapped to average gradients over the ranks."""

    name: str  # "d" or "g", the prefix of its metrics
    ddp: nn.Module
    optimizer: Adam


class Networks:
    """Both networks on the run's device, initialised from the run's seed. A network that is given is used as it is.

    `ema_generator` is None unless `run.ema` is set. `execution` is how they are computed,
    and `resident_bytes` the memory of the process before anything is trained.
    Raises ConfigError where a given network does not fit the data.
    """

    def __init__(
        self,
        config: Config,
        formats: PairFormat,
        device: torch.device,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
    ):
        self.config, self.device, self.formats = config, device, formats
        self.execution = configured(config)
        self.own_generator, self.own_discriminator = generator is not None, discriminator is not None
        seed_torch(config.run.seed, INIT)
        if generator is None:
            generator = build_generator(config, *formats.channels)
        if discriminator is None:
            discriminator = build_discriminator(config, *formats.channels)
        self.generator, self.discriminator = generator.to(device), discriminator.to(device)
        if self.own_generator or self.own_discriminator:
            self._require_fit()
        self.generator, self.discriminator = convert_sync_batchnorm(config, self.generator, self.discriminator)
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False) if config.run.ema else None
        self.resident_bytes = resident_bytes()
        self.g = Player("g", distributed.wrap_ddp(self.generator), self._optimizer(self.generator))
        self.d = Player("d", distributed.wrap_ddp(self.discriminator), self._optimizer(self.discriminator))

    def _optimizer(self, network: nn.Module) -> Adam:
        settings = self.config.optimizer
        return Adam(network.parameters(), settings.lr, settings.betas, capturable=self.device.type == "cuda")

    def _require_fit(self) -> None:
        """Raise ConfigError where a given network does not take or return the data's channels and size."""
        x, y = (
            torch.zeros(1, channels, *self.config.data.crop, device=self.device) for channels in self.formats.channels
        )
        fake = try_network(self.generator, "generator", x)
        if fake.shape != y.shape:
            raise ConfigError(
                f"the generator {type(self.generator).__name__} turns {list(x.shape)} into {list(fake.shape)}, and the "
                f"targets are {list(y.shape)}"
            )
        logits = try_network(self.discriminator, "discriminator", x, y)
        if not logits.numel():
            raise ConfigError(
                f"the discriminator {type(self.discriminator).__name__} returns no logits for images of "
                f"{list(y.shape)}; give it fewer layers, or raise data.image_size"
            )

    @property
    def names(self) -> tuple[str, str]:
        """The names of generator and discriminator: from the config, or the class of a network that was given."""
        model = self.config.model
        return (
            type(self.generator).__name__ if self.own_generator else model.generator.name,
            type(self.discriminator).__name__ if self.own_discriminator else model.discriminator.name,
        )

    @property
    def inference_generator(self) -> nn.Module:
        """The generator that is validated, sampled and exported: `ema_generator` if there is one, else `generator`."""
        return self.generator if self.ema_generator is None else self.ema_generator

    @property
    def stateful_objects(self) -> dict[str, Any]:
        """The networks and optimizers whose `state_dict` belongs in a checkpoint, by name."""
        objects = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.g.optimizer,
            "discriminator_optimizer": self.d.optimizer,
        }
        return objects if self.ema_generator is None else objects | {"ema": self.ema_generator}

    def state_tensors(self) -> list[Tensor]:
        """Return every tensor that a step updates: weights, buffers and the optimizers' state, on the device."""
        modules = [value for value in self.stateful_objects.values() if isinstance(value, nn.Module)]
        weights = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
        states = [state for player in (self.d, self.g) for state in player.optimizer.state.values()]
        return weights + [tensor for state in states for tensor in state.values()]

    def seed_dropout(self, step: int, micro_batch: int) -> None:
        """Seed dropout, which depends on the finished steps and the number of the micro-batch only.

        Without micro-batches it is called before a step: a CUDA graph cannot be seeded while it is captured.
        """
        seed_torch(self.config.run.seed, STEP, step, *((micro_batch,) if micro_batch else ()))

    def update_ema(self) -> None:
        """Move the averaged generator towards the generator."""
        decay = self.config.run.ema
        if self.ema_generator is not None and decay is not None:
            update_ema(self.ema_generator, self.generator, decay)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of both optimizers."""
        for player in (self.d, self.g):
            player.optimizer.set_learning_rate(rate)

    def autocast(self) -> Any:
        """Return the autocast context of the precision."""
        return autocast(self.device, self.execution.precision)

    def use(self, execution: Execution) -> None:
        """Compute the networks in this way from now on; call it before a checkpoint is loaded."""
        self.execution = execution
        if execution.memory_format != CHANNELS_LAST:
            return
        images = micro_batch_size(self.config)
        networks = (self.generator, self.discriminator, self.ema_generator)
        for network, cost in zip(networks, (*self.costs, self.costs[0]), strict=True):
            if network is not None and cost is not None:
                use_channels_last(network, {name: images * pixels for name, pixels in cost.pixels.items()})

    @cached_property
    def costs(self) -> tuple[ForwardCost | None, ForwardCost | None]:
        """The cost of a forward pass of generator and discriminator, for one image."""
        x, y = ((channels, *self.config.data.crop) for channels in self.formats.channels)
        return forward_cost(self.generator, x), forward_cost(self.discriminator, x, y)

    def translate(self, x: Tensor) -> Tensor:
        """Translate [B, C, H, W] in [-1, 1] with the inference generator, in inference mode."""
        with inference(self.inference_generator) as generator, self.autocast():
            fake: Tensor = generator(x.to(self.device))
            return fake.float()
