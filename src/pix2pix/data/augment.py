"""What happens to a batch on the device, as drawn and both images alike: turned, warped, recoloured, then floats."""

from collections.abc import Collection

import torch
from torch import Tensor

from pix2pix.config import AugmentConfig
from pix2pix.data.colour import recolour
from pix2pix.data.geometry import turn_and_flip, warp


def to_float(pixels: Tensor) -> Tensor:
    """Pixels in 0..255, uint8 or floats, to float32 in [-1, 1]: x / 127.5 - 1."""
    # One copy, then in place: on a CPU a second one costs as much as reading a cached pair.
    return pixels.to(torch.float32, copy=True).div_(127.5).sub_(1)


def to_pixels(images: Tensor) -> Tensor:
    """Floats in [-1, 1] to uint8 in 0..255, rounded; the inverse of `to_float`."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def prepare(
    batch: dict[str, Tensor],
    device: torch.device,
    augment: AugmentConfig | None = None,
    crop: tuple[int, int] | None = None,
    labels: Collection[str] = (),
) -> tuple[Tensor, Tensor]:
    """A loader's batch as (x, y), float32 [B, 3, h, w] in [-1, 1] on the device, changed as its draws say.

    `augment` and `crop` are the loader's. The sides named in `labels` (`input`, `target`) hold labels or a mask: their
    values are only moved, never mixed or recoloured.
    """
    sides = augment_batch(batch, device, augment or AugmentConfig(), crop, labels)
    return to_float(sides["input"]), to_float(sides["target"])


def augment_batch(
    batch: dict[str, Tensor],
    device: torch.device,
    augment: AugmentConfig,
    crop: tuple[int, int] | None,
    labels: Collection[str] = (),
) -> dict[str, Tensor]:
    """`prepare` but for the last step: the pixels of both sides in 0..255, of their own type where nothing mixes them.

    What `augment` leaves off costs nothing and changes no bit.
    """

    def there(key: str) -> Tensor:
        return batch[key].to(device, non_blocking=True)

    warps = there("warp") if augment.warps else None
    colours = there("colour") if augment.recolours else None

    def one(side: str) -> Tensor:
        images = there(side)  # 8-bit pixels cross the bus
        images = turn_and_flip(images, batch["flip"], batch.get("flip_vertical"), batch.get("turns"))
        if warps is not None:
            images = warp(images, warps, crop, "nearest" if side in labels else "bilinear")
        if colours is not None and side not in labels and augment.colour_on in ("both", side):
            images = recolour(images.float(), colours, augment)
        return images

    return {side: one(side) for side in ("input", "target")}
