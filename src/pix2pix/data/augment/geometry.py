"""Where pixels come from: windows that go on by reflection, exact turns and mirrors, rotation and scale."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from pix2pix.config import AugmentConfig


def reflected(start: int, count: int, size: int) -> slice | np.ndarray:
    """The places `start` to `start + count` along a side of `size`, as an index.

    Beyond either end the side is reflected, as often as it takes: `numpy.pad`'s mode `reflect`.
    """
    if start >= 0 and start + count <= size:
        return slice(start, start + count)  # the usual case: no copy
    period = max(2 * (size - 1), 1)
    places = np.arange(start, start + count) % period
    return np.minimum(places, period - places)


def window(picture: Tensor, rows: slice | np.ndarray, columns: slice | np.ndarray) -> Tensor:
    """Those places of [C, H, W]; a view of it where they are slices."""
    if isinstance(rows, slice) or isinstance(columns, slice):
        return picture[:, rows, columns]
    return picture[:, rows][:, :, columns]  # together, two arrays would name single pixels


def center_crop(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle `size` (H, W) of a picture [H, W, C], reflected where the picture is smaller."""
    rows, columns = (
        reflected((have - want) // 2, want, have) for have, want in zip(pixels.shape[:2], size, strict=True)
    )
    return pixels[rows][:, columns]


def margin(augment: AugmentConfig, crop: tuple[int, int]) -> tuple[int, int]:
    """How many pixels (rows, columns) on each side of a crop (H, W) rotation and scale may bring into it."""
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
    """[B, C, h, w] turned by `turns` quarters against the clock, then mirrored left to right and top to bottom.

    Where the bools [B] `flip` and `flip_vertical` say so; `turns`, ints [B], only of squares; None does nothing. Values
    only change places. The draws are those of the loader, on the host, so that the device need not be waited for.
    """
    if turns is not None:
        images = _change(images, turns % 2 == 1, lambda some: some.rot90(1, (-2, -1)))
        half = turns >= 2  # half a turn is both mirrors
        flip = flip ^ half
        flip_vertical = half if flip_vertical is None else flip_vertical ^ half
    images = _change(images, flip, lambda some: some.flip(-1))
    return images if flip_vertical is None else _change(images, flip_vertical, lambda some: some.flip(-2))


def _change(images: Tensor, which: Tensor, how: Callable[[Tensor], Tensor]) -> Tensor:
    """A copy of the batch with those pictures changed that `which` says; the batch itself where it says none."""
    chosen = which.tolist()
    if all(chosen) or not any(chosen):
        return how(images) if any(chosen) else images
    # Picture by picture: on a CPU, to copy by index takes four times as long.
    return torch.stack([how(image) if change else image for image, change in zip(images, chosen, strict=True)])


def warp_numbers(angle: float, scale: float) -> tuple[float, float]:
    """A rotation by `angle` degrees against the clock and an enlargement by `scale`, as `warp` wants them."""
    # In double precision and a pair at a time, so that they do not depend on device or batch.
    return math.cos(math.radians(angle)) / scale, math.sin(math.radians(angle)) / scale


def warp(images: Tensor, numbers: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """[B, C, H, W] rotated and enlarged about the centre by `numbers`, floats [B, 2]; the middle `size` (h, w) of it.

    `bilinear` gives floats in the range of the pixels; `nearest` only takes values that are there, in their own type.
    """
    height, width = images.shape[-2:]
    cos, sin = (number[:, None, None] for number in numbers.unbind(1))  # [B, 1, 1]
    down, right = (torch.arange(side, device=images.device) - (side - 1) / 2 for side in size)
    down, right = down[:, None], right[None]  # from the centre, [h, 1] and [1, w]
    # Each place looks back to where it was before, in units of half the picture: -1 and 1 are its outermost pixels.
    grid = torch.stack(
        [(cos * right - sin * down) * (2 / (width - 1)), (sin * right + cos * down) * (2 / (height - 1))], -1
    )  # [B, h, w, 2]
    # No place is outside but by rounding: the loader gives a margin.
    moved = grid_sample(images.float(), grid, mode=interpolation, padding_mode="border", align_corners=True)
    return moved.to(images.dtype) if interpolation == "nearest" else moved
