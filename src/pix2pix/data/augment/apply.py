"""What happens to a batch on the device, as drawn and both images alike: turned, warped, recoloured, then floats."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pix2pix.config import AugmentConfig
from pix2pix.data.augment.colour import recolour
from pix2pix.data.augment.geometry import turn_and_flip, warp
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat

_EIGHT_BIT = RGB.target
_OFF = AugmentConfig()


def to_float(pixels: Tensor, fmt: ImageFormat = _EIGHT_BIT) -> Tensor:
    """Pixels [B, C, H, W] as `form` keeps them, to float32 in [-1, 1] for the networks.

    Of images, integers or floats, the range becomes -1 to 1 (of 8 bits, (x - 127.5) / 127.5); of labels [B, 1, H, W],
    each class becomes a channel, 1 where it is and -1 elsewhere; of masks, 0 and 1 become -1 and 1.
    """
    if fmt.kind == "labels":
        return one_hot(pixels[:, 0].long(), fmt.classes).movedim(-1, 1).to(torch.float32).mul_(2).sub_(1)
    low, high = fmt.range
    # One copy, then in place: on a CPU a second one costs as much as reading a cached pair, and so does a division.
    # From the middle outwards the ends come out as -1 and 1 to the bit, and no two values of 16 bits as one.
    return pixels.to(torch.float32, copy=True).sub_((low + high) / 2).mul_(2 / (high - low))


def to_pixels(images: Tensor, fmt: ImageFormat = _EIGHT_BIT) -> Tensor:
    """What the networks say, [B, C, H, W] in [-1, 1], as `form` keeps it; the inverse of `to_float`.

    Integers are rounded; of labels, the class of the highest channel; of masks, 1 where it is above 0.
    """
    kind = getattr(torch, fmt.dtype)
    if fmt.kind == "labels":
        return images.argmax(1, keepdim=True).to(kind)
    if fmt.kind == "mask":
        return (images > 0).to(kind)
    low, high = fmt.range
    values = (images.float() + 1) * ((high - low) / 2)
    values = values + low if low else values
    return (values.round() if fmt.dtype != "float32" else values).clamp(low, high).to(kind)


def prepare(
    batch: dict[str, Tensor],
    device: torch.device,
    augment: AugmentConfig | None = None,
    crop: tuple[int, int] | None = None,
    formats: PairFormat = RGB,
) -> tuple[Tensor, Tensor]:
    """A loader's batch as (x, y), float32 [B, C, h, w] in [-1, 1] on the device, changed as its draws say.

    `augment` and `crop` are the loader's. Inputs are stacked on channels. The values of labels and masks are only
    moved, never mixed or recoloured.
    """
    return to_networks(augment_batch(batch, device, augment or _OFF, crop, formats), formats)


def to_networks(pictures: dict[str, Tensor], formats: PairFormat) -> tuple[Tensor, Tensor]:
    """(x, y) of pictures [B, C, H, W] as kept, by the keys of `formats.parts`."""
    *inputs, target = (to_float(pictures[key], fmt) for key, fmt in formats.parts.items())
    return inputs[0] if len(inputs) == 1 else torch.cat(inputs, 1), target


def augment_batch(
    batch: dict[str, Tensor],
    device: torch.device,
    augment: AugmentConfig,
    crop: tuple[int, int] | None,
    formats: PairFormat = RGB,
) -> dict[str, Tensor]:
    """`prepare` but for the last step: the pictures in their own range, of their own type where nothing mixes them.

    What `augment` leaves off costs nothing and changes no bit.
    """

    def there(key: str) -> Tensor:
        return batch[key].to(device, non_blocking=True)

    warps = there("warp") if augment.warps else None
    colours = there("colour") if augment.recolours else None

    def one(key: str, fmt: ImageFormat) -> Tensor:
        images = there(key)  # pixels cross the bus as they are kept
        images = turn_and_flip(images, batch["flip"], batch.get("flip_vertical"), batch.get("turns"))
        if warps is not None:
            images = warp(images, warps, crop, fmt.interpolation or "bilinear")
        side = "target" if key == "target" else "input"
        if colours is not None and fmt.kind == "image" and augment.colour_on in ("both", side):
            images = _recoloured(images.float(), colours, augment, fmt)
        return images

    return {key: one(key, fmt) for key, fmt in formats.parts.items()}


def _recoloured(images: Tensor, colours: Tensor, augment: AugmentConfig, fmt: ImageFormat) -> Tensor:
    """`recolour` of any range: what is black in it stays black."""
    low, high = fmt.range
    changed = recolour(images - low if low else images, colours, augment, high - low, fmt.alpha)
    return changed + low if low else changed
