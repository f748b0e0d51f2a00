"""Move pixels: crops with reflection, exact turns and mirrors, rotation and scale."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from pix2pix.config import AugmentConfig


def reflected(start: int, count: int, size: int) -> slice | np.ndarray:
    """Return an index of the positions `start` to `start + count` along an axis of length `size`.

    Beyond either end the axis is reflected as often as needed, as in mode `reflect` of `numpy.pad`.
    """
    if start >= 0 and start + count <= size:
        return slice(start, start + count)  # the usual case: no copy
    period = max(2 * (size - 1), 1)
    places = np.arange(start, start + count) % period
    return np.minimum(places, period - places)


def window(image: Tensor, rows: slice | np.ndarray, columns: slice | np.ndarray) -> Tensor:
    """Return these rows and columns of [C, H, W]; a view where both are slices."""
    if isinstance(rows, slice) or isinstance(columns, slice):
        return image[:, rows, columns]
    return image[:, rows][:, :, columns]  # two index arrays at once would select single pixels


def center_crop(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the middle `size` (H, W) of an image [H, W, C], reflected where the image is smaller."""
    rows, columns = (
        reflected((have - want) // 2, want, have) for have, want in zip(pixels.shape[:2], size, strict=True)
    )
    return pixels[rows][:, columns]


def margin(augment: AugmentConfig, crop: tuple[int, int]) -> tuple[int, int]:
    """Return how many pixels (rows, columns) beyond each side of a crop (H, W) rotation and scale may need."""
    if not augment.warps:
        return 0, 0

    def one(side: int, other: int) -> int:
        half, across = (side - 1) / 2, (other - 1) / 2
        # A corner reaches half cos(t) + across sin(t), which grows with the angle until it points along the diagonal.
        angle = min(math.radians(augment.rotation), math.atan2(across, half))
        reach = (half * math.cos(angle) + across * math.sin(angle)) / augment.scale[0]
        return max(0, math.ceil(reach - half))

    return one(crop[0], crop[1]), one(crop[1], crop[0])


def turn_and_flip(
    images: Tensor, flip: Tensor, flip_vertical: Tensor | None = None, turns: Tensor | None = None
) -> Tensor:
    """Turn [B, C, h, w] counterclockwise by `turns` quarters, then mirror it left to right and top to bottom.

    `flip` and `flip_vertical` are bools [B]; `turns`, ints [B], need square images; None does nothing. Pixels are
    moved and never mixed. The parameters are on the host, so that nothing waits for the device.
    """
    if turns is not None:
        images = _change(images, turns % 2 == 1, lambda some: some.rot90(1, (-2, -1)))
        half = turns >= 2  # half a turn equals both mirrors together
        flip = flip ^ half
        flip_vertical = half if flip_vertical is None else flip_vertical ^ half
    images = _change(images, flip, lambda some: some.flip(-1))
    return images if flip_vertical is None else _change(images, flip_vertical, lambda some: some.flip(-2))


def _change(images: Tensor, which: Tensor, how: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a copy of the batch in which the chosen images are changed; the batch itself where none is chosen."""
    chosen = which.tolist()
    if all(chosen) or not any(chosen):
        return how(images) if any(chosen) else images
    # Image by image: on a CPU, copying by index takes four times as long.
    return torch.stack([how(image) if change else image for image, change in zip(images, chosen, strict=True)])


def warp_numbers(angle: float, scale: float) -> tuple[float, float]:
    """Return the parameters of `warp` for a counterclockwise rotation in degrees and an enlargement by `scale`."""
    # In double precision and for each pair alone, so that they depend on neither the device nor the batch.
    return math.cos(math.radians(angle)) / scale, math.sin(math.radians(angle)) / scale


def warp(images: Tensor, numbers: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Rotate and enlarge [B, C, H, W] about the centre by `numbers`, floats [B, 2]; return the middle `size` (h, w).

    `bilinear` gives floats within the range of the pixels; `nearest` gives existing values only, and keeps their type.
    """
    height, width = images.shape[-2:]
    cos, sin = (number[:, None, None] for number in numbers.unbind(1))  # [B, 1, 1]
    down, right = (torch.arange(side, device=images.device) - (side - 1) / 2 for side in size)
    down, right = down[:, None], right[None]  # from the centre, [h, 1] and [1, w]
    # The source of each pixel, in units of half the image: -1 and 1 are its outermost pixels.
    grid = torch.stack(
        [(cos * right - sin * down) * (2 / (width - 1)), (sin * right + cos * down) * (2 / (height - 1))], -1
    )  # [B, h, w, 2]
    # The loader provides a margin, so sources are outside the image only by rounding errors.
    moved = grid_sample(images.float(), grid, mode=interpolation, padding_mode="border", align_corners=True)
    return moved.to(images.dtype) if interpolation == "nearest" else moved
