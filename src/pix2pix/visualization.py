"""Comparison grids: one row per pair, with a titled column each for the inputs, the generated image and the target."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pix2pix.data.images.decoded import resize

_GAP, _TITLE_HEIGHT = 4, 14  # pixels


def titles(inputs: int = 1) -> list[str]:
    """Return the column titles of a comparison with that many inputs."""
    names = ["input"] if inputs == 1 else [f"input {number}" for number in range(1, inputs + 1)]
    return [*names, "generated", "target"]


def comparison_grid(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """Return uint8 [H, W, 3]: rows of images, uint8 [h, w, 3], all resized to the first one's size, on white."""
    height, width = rows[0][0].shape[:2]
    down, right = height + _GAP, width + _GAP  # from one image to the next
    shape = (_TITLE_HEIGHT + _GAP + len(rows) * down, _GAP + len(titles) * right, 3)
    pixels = np.full(shape, 255, np.uint8)
    for top, row in zip(range(_TITLE_HEIGHT + _GAP, shape[0], down), rows, strict=True):
        for left, image in zip(range(_GAP, shape[1], right), row, strict=True):
            pixels[top : top + height, left : left + width] = resize(image, (height, width), "bicubic")
    sheet = Image.fromarray(pixels)
    for column, title in enumerate(titles):
        ImageDraw.Draw(sheet).text((_GAP + column * right, 2), title, fill=(0, 0, 0))
    return np.asarray(sheet)
