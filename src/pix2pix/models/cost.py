"""What a forward pass of a network takes, found by running it on one image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


@dataclass(frozen=True)
class ForwardCost:
    """The cost of one forward pass with gradients, for one image.

    `multiplications`: those of all layers with a weight matrix. `saved_bytes`: what is stored for the backward pass in
    float32, without parameters; `largest_bytes`: the largest tensor of it. `pixels`: by the name of each convolution,
    the pixels at which its weights are applied.
    """

    multiplications: int
    saved_bytes: int
    largest_bytes: int
    pixels: dict[str, int]


def forward_cost(network: nn.Module, *shapes: tuple[int, int, int]) -> ForwardCost | None:
    """Return the cost for inputs [C, H, W]; None for a network that cannot train on one image.

    Parameters, buffers and random generators stay as they are.
    """
    device = next(network.parameters()).device
    weights = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    pixels: dict[str, int] = {}
    multiplications = 0
    saved: dict[int, Tensor] = {}  # by address; they are referenced, so that no address is used twice

    def count(name: str, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal multiplications
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
            maps = args[0] if isinstance(module, nn.ConvTranspose2d) else output
            applied = maps.numel() // maps.shape[1]
            multiplications += applied * weight.numel()
            if weight.ndim == 4:
                pixels[name] = applied

    def save(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    hooks = [
        module.register_forward_hook(lambda *found, name=name: count(name, *found))
        for name, module in network.named_modules()
    ]
    try:
        with _unchanged(network, device), torch.enable_grad(), saved_tensors_hooks(save, lambda tensor: tensor):
            network(*(torch.zeros(1, *shape, device=device) for shape in shapes))
    except (RuntimeError, TypeError, ValueError):  # such as a batch norm of one pixel
        return None
    finally:
        for hook in hooks:
            hook.remove()
    sizes = [tensor.untyped_storage().nbytes() for address, tensor in saved.items() if address not in weights]
    return ForwardCost(multiplications, sum(sizes), max(sizes, default=0), pixels)


@contextmanager
def _unchanged(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Restore the buffers, such as running statistics, and torch's random generators at the end."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(network.buffers(), before, strict=True):
                buffer.copy_(value)


def use_channels_last(network: nn.Module, pixels: dict[str, int]) -> None:
    """Store the weights of convolutions in channels_last format; their maps follow.

    `pixels` is by name, for a whole batch. Layers of at most 64 keep their format: their weights are larger than their
    maps, and `models.convolution` multiplies them as they are.
    """
    for name, module in network.named_modules():
        if pixels.get(name, 0) > 64:
            module.to(memory_format=torch.channels_last)
