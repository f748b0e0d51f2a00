"""What the tests of reading share: pictures of any number type, and what must be said of a file."""

import re

import numpy as np
import pytest

from pix2pix.data.images.files import read_image, read_info
from pix2pix.errors import DataError


def made(channels: int, dtype: str = "uint16", height: int = 7, width: int = 9) -> np.ndarray:
    """[H, W, C] over the type's whole range, its extremes among them; floats in -1000..1000."""
    rng = np.random.default_rng(channels)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(-1000, 1000, (height, width, channels)).astype(dtype)
    info = np.iinfo(dtype)
    pixels = rng.integers(info.min, info.max, (height, width, channels), dtype, endpoint=True)
    pixels[0, 0], pixels[0, 1] = info.min, info.max
    return pixels


def same(path, want: np.ndarray, frames: int = 1) -> None:
    """The file is read as `want`, to the bit, and its header says so."""
    picture, header = read_image(path), read_info(path)
    assert picture.pixels.dtype == want.dtype and picture.palette is None
    np.testing.assert_array_equal(picture.pixels, want)
    assert (*header.size, header.channels) == want.shape
    assert header.alpha == picture.alpha
    assert (header.dtype, header.frames, header.paletted) == (want.dtype.name, frames, False)


def refused(path, text: str, header: bool = True) -> None:
    for read in (read_image, read_info)[: 1 + header]:
        with pytest.raises(DataError, match=re.escape(text)) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
