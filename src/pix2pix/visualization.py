"""Sheets of pictures: a row a pair, a titled column each for input, generated and target."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torchvision.utils import make_grid

from pix2pix.data.images.decoded import resize

_GAP, _HEAD = 4, 14  # pixels


def titles(inputs: int = 1) -> list[str]:
    """What stands over a comparison of so many inputs."""
    return [*(["input"] if inputs == 1 else [f"input {n}" for n in range(1, inputs + 1)]), "generated", "target"]


def comparison_grid(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """uint8 [H, W, 3]: the rows' pictures (uint8 [h, w, 3]) on white under titles, all at the first one's size."""
    size = rows[0][0].shape[:2]
    pictures = [torch.from_numpy(resize(picture, size, "bicubic").copy()) for row in rows for picture in row]
    grid = make_grid(torch.stack(pictures).permute(0, 3, 1, 2), len(titles), _GAP, pad_value=255)
    sheet = Image.fromarray(np.pad(grid.permute(1, 2, 0).numpy(), ((_HEAD, 0), (0, 0), (0, 0)), constant_values=255))
    for column, title in enumerate(titles):
        ImageDraw.Draw(sheet).text((_GAP + column * (size[1] + _GAP), 2), title, fill=(0, 0, 0))
    return np.asarray(sheet)
