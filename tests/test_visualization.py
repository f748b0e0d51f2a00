"""Comparison grids against torchvision's."""

import numpy as np
import torch
from torchvision.utils import make_grid

from pix2pix.visualization import comparison_grid

TITLE_HEIGHT = 14


def test_the_pixels_below_the_titles_are_those_of_torchvision():
    rows = [list(row) for row in np.random.default_rng(0).integers(0, 255, (2, 3, 7, 11, 3), dtype=np.uint8)]
    grid = comparison_grid(rows, ("input", "generated", "target"))
    images = torch.from_numpy(np.array(rows).reshape(6, 7, 11, 3)).permute(0, 3, 1, 2)
    expected = make_grid(images, 3, padding=4, pad_value=255).permute(1, 2, 0).numpy()
    assert np.array_equal(grid[TITLE_HEIGHT + 4 :], expected[4:])  # letters reach into the gap above the first row
    titles = grid[: TITLE_HEIGHT + 4]
    assert all((titles[:, left : left + 11] < 255).any() for left in (4, 19, 34))


def test_images_are_resized_to_the_first():
    rows = [[np.full((8, 8, 3), 10, np.uint8), np.full((4, 6, 3), 200, np.uint8)]]
    grid = comparison_grid(rows, ("a", "b"))
    assert grid.shape == (TITLE_HEIGHT + 4 + 12, 4 + 2 * 12, 3)
    assert (grid[18:26, 4:12] == 10).all() and (grid[18:26, 16:24] == 200).all() and (grid[18:26, 12:16] == 255).all()
