"""Estimate what training takes: memory for the images, the networks and their activations, and the U-Net's depth."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pix2pix.config import Config, UNetConfig, unet_depth
from pix2pix.models.build import build_discriminator, build_generator
from pix2pix.models.layers import parameter_count

_COPIES = 4  # of each weight: itself, its gradient, and Adam's two moments
_FLOAT = 4  # bytes
_PASSES = 3  # of the discriminator per update: one for the real pair, two for the fake one


@dataclass(frozen=True)
class Resources:
    """What training takes. `levels`: of a U-Net, else None. `cache_bytes`: of all pairs. `train_bytes`: an estimate."""

    levels: int | None
    parameters: int
    cache_bytes: int
    train_bytes: int


def estimate_resources(config: Config, cache_bytes: int, in_channels: int = 3, out_channels: int = 3) -> Resources:
    """Run the networks on the meta device, without numbers. Raises ConfigError where they do not fit the data."""
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
    """Count the outputs of all layers; about as many are stored for the gradient."""
    total = 0

    def add(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel()

    hooks = [module.register_forward_hook(add) for module in network.modules() if not list(module.children())]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return total
