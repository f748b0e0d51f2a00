"""Sample the augmentation parameters of each pair of an epoch."""

from typing import NamedTuple

from pix2pix.config import AugmentConfig
from pix2pix.runtime.rng import AUGMENT, counter_uniforms


class AugmentParams(NamedTuple):
    """The random choices for one pair in one epoch, the same for all its images."""

    top: int  # negative if the crop starts above the image, in its reflection
    left: int
    flip: bool
    flip_vertical: bool = False
    turns: int = 0  # quarter turns counterclockwise
    angle: float = 0.0  # degrees counterclockwise
    scale: float = 1.0
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)  # brightness, contrast, saturation; hue shift


def sample_augment_params(
    seed: int,
    epoch: int,
    index: int,
    load: tuple[int, int],
    crop: tuple[int, int],
    flip: bool,
    augment: AugmentConfig | None = None,
) -> AugmentParams:
    """Sample the position of a `crop` (H, W) in an image of size `load`, mirroring, and what `augment` turns on.

    This extends the paper's random jitter and mirroring (appendix 6.2). A random number is reserved for each parameter,
    so that turning one on does not change the others. An image smaller than the crop is placed within it.
    """
    augment = augment or AugmentConfig()
    uniforms = counter_uniforms(seed, AUGMENT, epoch, index)
    low, high = augment.scale

    def offset(uniform: float, room: int) -> int:
        return min(0, room) + int(uniform * (abs(room) + 1))

    def symmetric(amplitude: float, uniform: float) -> float:
        return amplitude * (2 * uniform - 1)

    return AugmentParams(
        top=offset(uniforms[0], load[0] - crop[0]),
        left=offset(uniforms[1], load[1] - crop[1]),
        flip=flip and uniforms[2] < 0.5,
        flip_vertical=augment.flip_vertical and uniforms[3] < 0.5,
        turns=int(4 * uniforms[4]) if augment.quarter_turns else 0,
        angle=symmetric(augment.rotation, uniforms[5]),
        scale=low + (high - low) * uniforms[6],
        colour=(
            1 + symmetric(augment.brightness, uniforms[7]),
            1 + symmetric(augment.contrast, uniforms[8]),
            1 + symmetric(augment.saturation, uniforms[9]),
            symmetric(augment.hue, uniforms[10]),
        ),
    )
