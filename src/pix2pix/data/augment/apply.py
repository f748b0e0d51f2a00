"""Augment a batch on the device, both images of a pair alike, and convert it to floats in [-1, 1]."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pix2pix.config import AugmentConfig
from pix2pix.data.augment.colour import recolour
from pix2pix.data.augment.geometry import turn_and_flip, warp
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat
from pix2pix.data.formats.values import is_missing, nodata_value

_EIGHT_BIT = RGB.target
_OFF = AugmentConfig()


def to_float(pixels: Tensor, fmt: ImageFormat = _EIGHT_BIT) -> Tensor:
    """Convert pixels [B, C, H, W] of a format to float32 in [-1, 1] for the networks.

    The range of images becomes -1 to 1 (8 bits: (x - 127.5) / 127.5). Labels [B, 1, H, W] become one channel per class:
    1 where it is present and -1 elsewhere. Masks of 0 and 1 become -1 and 1. Pixels without a value or class
    (`fmt.ignores`) become NaN in every channel.
    """
    if fmt.kind == "labels":
        ids = pixels[:, 0].long()
        missing = None if fmt.ignore is None else ids == fmt.ignore
        ids = ids if missing is None else ids.masked_fill(missing, 0)
        values = one_hot(ids, fmt.class_count).movedim(-1, 1).to(torch.float32).mul_(2).sub_(1)
        return values if missing is None else values.masked_fill_(missing[:, None], torch.nan)
    low, high = _ends(fmt, pixels.device)
    # Copy once, then compute in place: on a CPU a second copy, or a division, takes as long as reading a cached pair.
    # Centring before scaling makes the ends exactly -1 and 1, and keeps all 16-bit values distinct.
    values = pixels.to(torch.float32, copy=True)
    missing = None if fmt.nodata is None else is_missing(values, fmt.nodata)
    values.sub_((low + high) / 2).mul_(2 / (high - low))
    return values if missing is None else values.masked_fill_(missing, torch.nan)


def _ends(fmt: ImageFormat, device: torch.device) -> tuple[Any, Any]:
    """Return the ends of the range: two numbers, or two tensors [C, 1, 1] where each channel has its own."""
    if fmt.channel_ranges is None:
        return fmt.range
    low, high = torch.tensor(fmt.channel_ranges, dtype=torch.float32, device=device).T[..., None, None]
    return low, high


def to_input(pixels: Tensor, fmt: ImageFormat = _EIGHT_BIT) -> Tensor:
    """Convert pixels [B, C, H, W] as `to_float` does, for the generator: pixels without a value or class become 0."""
    values = to_float(pixels, fmt)
    return values.masked_fill_(values.isnan(), 0) if fmt.ignores else values


def to_pixels(images: Tensor, fmt: ImageFormat = _EIGHT_BIT) -> Tensor:
    """Convert output of the networks, [B, C, H, W] in [-1, 1], to pixels of a format; the inverse of `to_float`.

    Integers are rounded; labels are the class of the highest channel; masks are 1 where the output is above 0. NaN
    becomes nodata where the format has it.
    """
    dtype = getattr(torch, fmt.dtype)
    if fmt.kind == "labels":
        return images.argmax(1, keepdim=True).to(dtype)
    if fmt.kind == "mask":
        return (images > 0).to(dtype)
    low, high = _ends(fmt, images.device)
    values = (images.float() + 1) * ((high - low) / 2)
    values = values if isinstance(low, float) and not low else values + low
    values = (values.round() if fmt.dtype != "float32" else values).clamp(low, high)
    if fmt.nodata is not None:
        values = values.masked_fill(images.isnan(), nodata_value(fmt.nodata))
    pixels: Tensor = values.to(dtype)
    return pixels


def prepare(
    batch: dict[str, Tensor],
    device: torch.device,
    augment: AugmentConfig | None = None,
    crop: tuple[int, int] | None = None,
    formats: PairFormat = RGB,
) -> tuple[Tensor, Tensor]:
    """Return a loader's batch as (x, y), float32 [B, C, h, w] in [-1, 1] on the device, augmented.

    `augment` and `crop` are those of the loader; `crop` is needed where `augment` rotates or scales. Inputs are stacked
    on channels. The values of labels and masks are moved, but never mixed or recoloured. Pixels without a value are 0
    in x, and NaN in y: `Trainer.train_step` leaves these out of every loss.
    """
    return to_networks(augment_batch(batch, device, augment or _OFF, crop, formats), formats)


def to_networks(images: dict[str, Tensor], formats: PairFormat) -> tuple[Tensor, Tensor]:
    """Return (x, y) of images [B, C, H, W] in their formats, by the keys of `formats.parts`."""
    inputs = [to_input(images[key], fmt) for key, fmt in formats.parts.items() if key != "target"]
    return inputs[0] if len(inputs) == 1 else torch.cat(inputs, 1), to_float(images["target"], formats.target)


def augment_batch(
    batch: dict[str, Tensor],
    device: torch.device,
    augment: AugmentConfig,
    crop: tuple[int, int] | None,
    formats: PairFormat = RGB,
) -> dict[str, Tensor]:
    """Return the augmented images in the range of their format; the number type changes only if pixels are mixed.

    Augmentations that are off take no time and leave every pixel unchanged.
    """

    def on_device(key: str) -> Tensor:
        return batch[key].to(device, non_blocking=True)

    warps = on_device("warp") if augment.warps else None
    colours = on_device("colour") if augment.recolours else None

    def augmented(key: str, fmt: ImageFormat) -> Tensor:
        images = on_device(key)  # transferred before the conversion to float, which is larger
        images = turn_and_flip(images, batch["flip"], batch.get("flip_vertical"), batch.get("turns"))
        if warps is not None:
            assert crop is not None, "rotation and scale need the crop"
            images = _warped(images, warps, crop, fmt)
        side = "target" if key == "target" else "input"
        if colours is not None and fmt.kind == "image" and augment.colour_on in ("both", side):
            images = _recoloured(images.float(), colours, augment, fmt)
        return images

    return {key: augmented(key, fmt) for key, fmt in formats.parts.items()}


def _warped(images: Tensor, warps: Tensor, crop: tuple[int, int], fmt: ImageFormat) -> Tensor:
    """Warp images; beside missing values, a pixel is the weighted mean of those that are valid, if half of them are."""
    if fmt.nodata is None:
        return warp(images, warps, crop, fmt.interpolation or "bilinear")
    images = images.float()
    missing, (low, high) = is_missing(images, fmt.nodata), fmt.range
    middle = (low + high) / 2
    weight = warp((~missing).float(), warps, crop, "bilinear")
    values = warp((images - middle).masked_fill(missing, 0), warps, crop, "bilinear") / weight.clamp(min=1e-6) + middle
    return values.clamp(low, high).masked_fill(weight < 0.5, nodata_value(fmt.nodata))


def _recoloured(images: Tensor, colours: Tensor, augment: AugmentConfig, fmt: ImageFormat) -> Tensor:
    """Recolour images of any range, the lower end of which is black; missing values stay as they are."""
    if fmt.nodata is not None:
        missing = is_missing(images, fmt.nodata)
        valid = replace(fmt, nodata=None)
        filled = images.masked_fill(missing, (fmt.range[0] + fmt.range[1]) / 2)
        return _recoloured(filled, colours, augment, valid).masked_fill(missing, nodata_value(fmt.nodata))
    if fmt.channel_ranges is not None:
        first, last = _ends(fmt, images.device)
        changed = recolour((images - first) / (last - first), colours, augment, 1.0, fmt.alpha)
        return torch.add(changed * (last - first), first)
    low, high = fmt.range
    changed = recolour(images - low if low else images, colours, augment, high - low, fmt.alpha)
    return changed + low if low else changed
