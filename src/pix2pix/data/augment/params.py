"""What chance decides for each pair of an epoch."""

from typing import NamedTuple

from pix2pix.config import AugmentConfig
from pix2pix.runtime.rng import AUGMENT, counter_uniforms


class AugmentParams(NamedTuple):
    """What chance decides for one pair in one epoch; both of its images get the same."""

    top: int  # negative where the crop begins above the picture, in its reflection
    left: int
    flip: bool
    flip_vertical: bool = False
    turns: int = 0  # quarters against the clock
    angle: float = 0.0  # degrees against the clock
    scale: float = 1.0
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)  # brightness, contrast, saturation; turn of hue


def sample_augment_params(
    seed: int,
    epoch: int,
    index: int,
    load: tuple[int, int],
    crop: tuple[int, int],
    flip: bool,
    augment: AugmentConfig | None = None,
) -> AugmentParams:
    """Where the crop of size `crop` (H, W) lies in an image of size `load`, whether to mirror it, and the rest.

    The paper's random jitter and mirroring (appendix 6.2), then what `augment` has on. Everything has its number drawn,
    on or off, so that turning one thing on changes no other. An image smaller than the crop lies somewhere in it.
    """
    augment = augment or AugmentConfig()
    chance = counter_uniforms(seed, AUGMENT, epoch, index)
    low, high = augment.scale

    def place(chance: float, room: int) -> int:
        return min(0, room) + int(chance * (abs(room) + 1))

    def swing(by: float, chance: float) -> float:
        return by * (2 * chance - 1)

    return AugmentParams(
        top=place(chance[0], load[0] - crop[0]),
        left=place(chance[1], load[1] - crop[1]),
        flip=flip and chance[2] < 0.5,
        flip_vertical=augment.flip_vertical and chance[3] < 0.5,
        turns=int(4 * chance[4]) if augment.quarter_turns else 0,
        angle=swing(augment.rotation, chance[5]),
        scale=low + (high - low) * chance[6],
        colour=(
            1 + swing(augment.brightness, chance[7]),
            1 + swing(augment.contrast, chance[8]),
            1 + swing(augment.saturation, chance[9]),
            swing(augment.hue, chance[10]),
        ),
    )
