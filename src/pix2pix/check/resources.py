"""What training on a data set will take: memory for its pictures, networks and their work, and the networks' depth."""

from dataclasses import dataclass

import torch
from torch import nn

from pix2pix.config import Config, UNetConfig, unet_depth
from pix2pix.models.build import build_discriminator, build_generator
from pix2pix.models.layers import parameter_count

_COPIES = 4  # of each weight: itself, its gradient, and Adam's two moments
_FLOAT = 4  # bytes
_PASSES = 3  # of the discriminator an update: on the real pair, and on the fake one twice


@dataclass(frozen=True)
class Needs:
    """`levels`: of a U-Net, else None. `cache_bytes`: of all pairs that training reads. `train_bytes`: roughly."""

    levels: int | None
    parameters: int
    cache_bytes: int
    train_bytes: int


def find_needs(config: Config, cache_bytes: int, in_channels: int = 3, out_channels: int = 3) -> Needs:
    """By running the networks without any numbers. Raises ConfigError where they do not fit the data."""
    generator, crop = config.model.generator, config.data.crop
    state = torch.get_rng_state()
    with torch.device("meta"):
        networks = (
            build_generator(config, in_channels, out_channels),
            build_discriminator(config, in_channels, out_channels),
        )
        x, y = (torch.empty(config.data.batch_size, channels, *crop) for channels in (in_channels, out_channels))
        condition = x if config.loss.generator_condition == "input" else y
        work = _outputs(networks[0], x) + _PASSES * _outputs(networks[1], condition, y)
    torch.set_rng_state(state)
    weights = sum(map(parameter_count, networks))
    return Needs(
        unet_depth(generator, crop) if isinstance(generator, UNetConfig) else None,
        weights,
        cache_bytes,
        _FLOAT * (_COPIES * weights + work),
    )


def _outputs(network: nn.Module, *inputs: torch.Tensor) -> int:
    """How many numbers the layers of a network make of its inputs; what is kept for the gradient is about that."""
    made = 0

    def count(module: nn.Module, args: tuple, output: torch.Tensor) -> None:
        nonlocal made
        made += output.numel()

    hooks = [module.register_forward_hook(count) for module in network.modules() if not list(module.children())]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return made
