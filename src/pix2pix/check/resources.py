"""Estimate the memory that training takes for images, networks and activations."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pix2pix.config import Config, UNetConfig, unet_depth
from pix2pix.models.build import build_discriminator, build_generator
from pix2pix.models.layers import parameter_count

_COPIES = 4  # copies of each weight: the weight, its gradient and Adam's two moments
_FLOAT = 4  # bytes
_PASSES = 3  # of the discriminator per update: one for the real pair, two for the fake one


@dataclass(frozen=True)
class Resources:
    """The resources that training takes; `levels` is the depth of a U-Net, else None, and the bytes are estimates."""

    levels: int | None
    parameters: int
    cache_bytes: int
    train_bytes: int


def estimate_resources(config: Config, cache_bytes: int, in_channels: int = 3, out_channels: int = 3) -> Resources:
    """Estimate by running the networks on the meta device. Raises ConfigError where they do not fit the data."""
    generator, crop = config.model.generator, config.data.crop
    state = torch.get_rng_state()
    with torch.device("meta"):
        networks = (
            build_generator(config, in_channels, out_channels),
            build_discriminator(config, in_channels, out_channels),
        )
        x, y = (torch.empty(config.data.batch_size, channels, *crop) for channels in (in_channels, out_channels))
        condition = x if config.loss.generator_condition == "input" else y
        activations = _activations(networks[0], x) + _PASSES * _activations(networks[1], condition, y)
    torch.set_rng_state(state)
    weights = sum(map(parameter_count, networks))
    return Resources(
        unet_depth(generator, crop) if isinstance(generator, UNetConfig) else None,
        weights,
        cache_bytes,
        _FLOAT * (_COPIES * weights + activations),
    )


def _activations(network: nn.Module, *inputs: torch.Tensor) -> int:
    """Count the output values of all layers; about as many values are stored for the backward pass."""
    total = 0

    def add(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel()

    hooks = [module.register_forward_hook(add) for module in network.modules() if not list(module.children())]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return total
