"""Helpers for the tests of reading: images of any number type, and assertions about a file."""

import re

import numpy as np
import pytest

from pix2pix.data.images.files import read_image, read_info
from pix2pix.errors import DataError


def made(channels: int, dtype: str = "uint16", height: int = 7, width: int = 9) -> np.ndarray:
    """Return [H, W, C] over the type's whole range, its extremes among them; floats in -1000..1000."""
    rng = np.random.default_rng(channels)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(-1000, 1000, (height, width, channels)).astype(dtype)
    info = np.iinfo(dtype)
    pixels = rng.integers(info.min, info.max, (height, width, channels), dtype, endpoint=True)
    pixels[0, 0], pixels[0, 1] = info.min, info.max
    return pixels


def same(path, want: np.ndarray, frames: int = 1) -> None:
    """Assert that the file is read as exactly `want`, and that its header agrees."""
    image, header = read_image(path), read_info(path)
    assert image.pixels.dtype == want.dtype and image.palette is None
    np.testing.assert_array_equal(image.pixels, want)
    assert (*header.size, header.channels) == want.shape
    assert header.alpha == image.alpha
    assert (header.dtype, header.frames, header.paletted) == (want.dtype.name, frames, False)


def refused(path, text: str, header: bool = True) -> None:
    """Assert that reading the file, and its header if `header`, raises a DataError of one line with `text`."""
    for read in (read_image, read_info)[: 1 + header]:
        with pytest.raises(DataError, match=re.escape(text)) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
