"""Predict the peak memory of training, and find settings that need less."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from pix2pix.config import Config, UNetConfig, unet_depth
from pix2pix.data.cache.budget import total_memory
from pix2pix.data.cache.state import show_bytes
from pix2pix.errors import MemoryLimitError, is_out_of_memory
from pix2pix.models.build import micro_batch_size
from pix2pix.runtime import distributed
from pix2pix.training.networks import Networks

_KERNELS = 40 * 2**20  # bytes that the CPU libraries allocate in the first step
_USABLE = 0.9  # of a device's memory; the rest is lost between blocks, or used by others


@dataclass(frozen=True)
class MemoryNeed:
    """The peak memory of a run in bytes: on a GPU, what PyTorch allocates there; on a CPU, that of the process.

    `program`: the process before training, and cached pairs; 0 on a GPU. `networks`: weights, gradients, Adam's
    moments and the average. `per_image`: what each of the `images` of a micro-batch adds.
    """

    program: int
    networks: int
    per_image: int
    images: int

    @property
    def activations(self) -> int:
        """The memory of all images of a micro-batch."""
        return self.per_image * self.images

    @property
    def total(self) -> int:
        """The peak."""
        return self.program + self.networks + self.activations

    def __str__(self) -> str:
        parts = {"program": self.program, "networks and Adam": self.networks, "activations": self.activations}
        shown = ", ".join(f"{name} {show_bytes(size)}" for name, size in parts.items() if size)
        return f"about {show_bytes(self.total)} at the peak ({shown})"


def predict_memory(config: Config, networks: Networks, cached: int = 0) -> MemoryNeed | None:
    """Predict the peak of a run that caches `cached` bytes of pairs; None if a network's cost is unknown.

    What the forward passes store is measured with one image (`models.cost`). The peak is at the start of a backward
    pass: in the discriminator's update, if the graph of the generator is there as well, and else in either update.
    """
    generator, discriminator = networks.costs
    if generator is None or discriminator is None:
        return None
    g, d = generator.saved_bytes, discriminator.saved_bytes
    whole = config.optimizer.accumulation_steps == 1 and config.schedule.update_order == "discriminator-first"
    maps = g + 2 * d if whole else max(g + d, 2 * d)
    weights = _weight_bytes(networks.generator) + _weight_bytes(networks.discriminator)
    average = 0 if networks.ema_generator is None else _weight_bytes(networks.ema_generator)
    copies = 4 * weights  # the weights, their gradients and Adam's two moments
    if networks.execution.precision == "bf16":
        maps, copies = maps // 2, copies + weights // 2
    largest = max(generator.largest_bytes, discriminator.largest_bytes)
    program = 0 if networks.device.type == "cuda" else networks.resident_bytes - weights - average + _KERNELS + cached
    return MemoryNeed(max(program, 0), copies + average, maps + 2 * largest, micro_batch_size(config))


def _weight_bytes(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


def device_memory(device: torch.device) -> int:
    """Return the memory of a GPU or of this machine."""
    return torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else total_memory()


def settings_that_fit(config: Config, need: MemoryNeed, limit: float) -> list[str]:
    """Return settings, as KEY=VALUE, each of which alone lets a run fit into `limit` bytes."""
    spare, batch = limit - need.program - need.networks, config.data.batch_size
    shares = config.optimizer.accumulation_steps * distributed.world_size()
    images = min(int(spare // need.per_image), need.images - 1)
    settings = []
    if images >= 1:
        settings.append(f"data.batch_size={images * shares}")
        more = [
            steps for steps in range(config.optimizer.accumulation_steps + 1, batch + 1)
            if batch % (steps * distributed.world_size()) == 0 and batch // (steps * distributed.world_size()) <= images
        ]  # fmt: skip
        settings += [f"optimizer.accumulation_steps={more[0]}"] if more else []
    generator, sides = config.model.generator, config.data.crop
    multiple = 2 ** unet_depth(generator, sides) if isinstance(generator, UNetConfig) and generator.depth else 32
    scale = math.sqrt(max(spare, 0) / need.activations)
    smaller = [int(side * scale) // multiple * multiple for side in sides]
    if scale < 1 and min(smaller) >= multiple:
        settings.append(f"data.image_size={smaller[0] if smaller[0] == smaller[1] else smaller}".replace(" ", ""))
    return settings


@contextmanager
def memory_errors(config: Config, networks: Networks) -> Iterator[None]:
    """Turn running out of memory into a MemoryLimitError that names settings that fit."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        need, limit = predict_memory(config, networks), device_memory(networks.device)
        settings = [] if need is None else settings_that_fit(config, need, _USABLE * limit)
        fits = " or ".join(settings) or "a smaller data.batch_size, data.image_size or model.generator.base_channels"
        raise MemoryLimitError(
            f"out of memory on {networks.device}, which has {show_bytes(limit)}"
            + (f", and training takes {need}" if need else "")
            + f"; set {fits}, or data.cache=off",
            settings,
        ) from None
