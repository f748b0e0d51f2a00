"""What happens to a batch on the device, both images alike: mirrored as drawn, then floats."""

import torch
from torch import Tensor


def to_float(pixels: Tensor) -> Tensor:
    """uint8 in 0..255 to float32 in [-1, 1]: x / 127.5 - 1."""
    return pixels.float() / 127.5 - 1


def to_pixels(images: Tensor) -> Tensor:
    """Floats in [-1, 1] to uint8 in 0..255, rounded; the inverse of `to_float`."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def prepare(batch: dict[str, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """A loader's batch as (x, y), float32 [B, 3, h, w] in [-1, 1] on the device, mirrored where `flip` says so."""
    flip = batch["flip"].to(device, non_blocking=True)[:, None, None, None]

    def one(images: Tensor) -> Tensor:
        images = images.to(device, non_blocking=True)  # 8-bit pixels cross the bus
        return to_float(torch.where(flip, images.flip(-1), images))

    return one(batch["input"]), one(batch["target"])
