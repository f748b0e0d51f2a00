"""Comparison grids: one row per pair, with a titled column each for the inputs, the generated image and the target."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torchvision.utils import make_grid

from pix2pix.data.images.decoded import resize

_GAP, _TITLE_HEIGHT = 4, 14  # pixels


def titles(inputs: int = 1) -> list[str]:
    """Return the column titles of a comparison with that many inputs."""
    names = ["input"] if inputs == 1 else [f"input {number}" for number in range(1, inputs + 1)]
    return [*names, "generated", "target"]


def comparison_grid(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """Return uint8 [H, W, 3]: rows of images, uint8 [h, w, 3], all resized to the first one's size, on white."""
    height, width = rows[0][0].shape[:2]
    images = [torch.from_numpy(resize(image, (height, width), "bicubic").copy()) for row in rows for image in row]
    grid = make_grid(torch.stack(images).permute(0, 3, 1, 2), len(titles), _GAP, pad_value=255)  # [3, H, W]
    pixels = np.pad(grid.permute(1, 2, 0).numpy(), ((_TITLE_HEIGHT, 0), (0, 0), (0, 0)), constant_values=255)
    sheet = Image.fromarray(pixels)
    for column, title in enumerate(titles):
        ImageDraw.Draw(sheet).text((_GAP + column * (width + _GAP), 2), title, fill=(0, 0, 0))
    return np.asarray(sheet)
