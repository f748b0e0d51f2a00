"""Colour changes of a batch, one strength a picture; pure functions of floats [B, C, h, w] in 0..`top`.

What the names mean is what they mean in Pillow's ImageEnhance and torchvision's ColorJitter.
"""

import torch
from torch import Tensor

from pix2pix.config import AugmentConfig


def recolour(
    images: Tensor, numbers: Tensor, augment: AugmentConfig, top: float = 255.0, alpha: bool = False
) -> Tensor:
    """Brightness, contrast, saturation and hue changed, in this order, by the columns of `numbers`, floats [B, 4].

    Only what `augment` has on. With `alpha`, the last channel is transparency, which is kept; other than three colours
    have no saturation and no hue.
    """
    kept = images.shape[1] - alpha
    colours, rest = images[:, :kept], images[:, kept:]
    brightness, contrast, saturation, hue = (number[:, None, None, None] for number in numbers.unbind(1))
    if augment.brightness:
        colours = (colours * brightness).clamp(0, top)
    if augment.contrast:
        # A row at a time: a mean over everything at once would depend on the batch in its last bits.
        mean = grey(colours).mean(-1, keepdim=True).mean(-2, keepdim=True)
        colours = (mean + (colours - mean) * contrast).clamp(0, top)
    if kept == 3 and augment.saturation:
        level = grey(colours)
        colours = (level + (colours - level) * saturation).clamp(0, top)
    if kept == 3 and augment.hue:
        colours = turn_hue(colours, hue)
    return torch.cat([colours, rest], 1) if alpha else colours


def grey(colours: Tensor) -> Tensor:
    """[B, 1, h, w]: the luma of three channels (ITU-R BT.601), the mean of any other number."""
    if colours.shape[1] != 3:
        return colours.mean(1, keepdim=True)
    red, green, blue = colours.split(1, 1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def turn_hue(rgb: Tensor, shift: Tensor) -> Tensor:
    """[B, 3, h, w] with its hue turned by `shift` [B, 1, 1, 1], 1 being the whole circle; saturation and value stay."""
    red, green, blue = rgb.split(1, 1)
    value = rgb.amax(1, keepdim=True)
    chroma = value - rgb.amin(1, keepdim=True)
    span = torch.where(chroma > 0, chroma, 1)
    sextant = torch.where(
        value == red,
        (green - blue) / span,
        torch.where(value == green, (blue - red) / span + 2, (red - green) / span + 4),
    )
    places = [(n + sextant + 6 * shift) % 6 for n in (5, 3, 1)]
    return torch.cat([value - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in places], 1)
