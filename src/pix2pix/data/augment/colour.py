"""Change the colours of a batch, one strength per image; pure functions of floats [B, C, h, w] in 0..`top`.

Brightness, contrast, saturation and hue are those of Pillow's ImageEnhance and torchvision's ColorJitter.
"""

import torch
from torch import Tensor

from pix2pix.config import AugmentConfig


def recolour(
    images: Tensor, numbers: Tensor, augment: AugmentConfig, top: float = 255.0, alpha: bool = False
) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order, by the columns of `numbers`, floats [B, 4].

    Changes that are off in `augment` are skipped. With `alpha`, the last channel is transparency and stays the same.
    Saturation and hue change only images of three colour channels.
    """
    count = images.shape[1] - alpha
    colours, rest = images[:, :count], images[:, count:]
    brightness, contrast, saturation, hue = (number[:, None, None, None] for number in numbers.unbind(1))
    if augment.brightness:
        colours = (colours * brightness).clamp(0, top)
    if augment.contrast:
        # Mean of row means: the last bits of a mean over both axes at once would depend on the batch size.
        mean = grey(colours).mean(-1, keepdim=True).mean(-2, keepdim=True)
        colours = (mean + (colours - mean) * contrast).clamp(0, top)
    if count == 3 and augment.saturation:
        level = grey(colours)
        colours = (level + (colours - level) * saturation).clamp(0, top)
    if count == 3 and augment.hue:
        colours = turn_hue(colours, hue)
    return torch.cat([colours, rest], 1) if alpha else colours


def grey(colours: Tensor) -> Tensor:
    """Return [B, 1, h, w]: the luma of three channels (ITU-R BT.601), or the mean of any other number."""
    if colours.shape[1] != 3:
        return colours.mean(1, keepdim=True)
    red, green, blue = colours[:, 0:1], colours[:, 1:2], colours[:, 2:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue


def turn_hue(rgb: Tensor, shift: Tensor) -> Tensor:
    """Rotate the hue of [B, 3, h, w] by `shift` [B, 1, 1, 1], where 1 is the whole circle."""
    red, green, blue = rgb[:, 0:1], rgb[:, 1:2], rgb[:, 2:3]
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
