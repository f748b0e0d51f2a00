"""Netpbm and TGA files: read to the bit, or refused by name."""

import numpy as np
import pytest
from PIL import Image

from pix2pix.data.images.files import is_image, read_image, read_info
from pix2pix.errors import DataError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.random.default_rng(2).integers(0, 256, (6, 8, 3), np.uint8)
DEEP = np.random.default_rng(2).integers(0, 65536, (6, 8)).astype(np.uint16)
FILES = {
    "grey.pgm": (b"P5 8 6 255\n" + GREY.tobytes(), GREY[..., None]),
    "comment.pgm": (b"P5\n# made 1 2 3\n8 6\n255\n" + GREY.tobytes(), GREY[..., None]),
    "deep.pgm": (b"P5 8 6 65535\n" + DEEP.astype(">u2").tobytes(), DEEP[..., None]),
    "colour.ppm": (b"P6 8 6 255\n" + RGB.tobytes(), RGB),
    "text.pnm": (b"P2 2 1 255\n7 250\n", np.uint8([[[7], [250]]])),
    "bits.pbm": (b"P4 8 1\n" + bytes([0b10100000]), np.uint8([0, 255, 0, *[255] * 5]).reshape(1, 8, 1)),
}


@pytest.mark.parametrize("name", FILES)
def test_netpbm_files_are_read_to_the_bit(tmp_path, name):
    content, expected = FILES[name]
    (tmp_path / name).write_bytes(content)
    pixels = read_image(tmp_path / name).pixels
    assert is_image(tmp_path / name) and pixels.dtype == expected.dtype
    np.testing.assert_array_equal(pixels, expected)
    info = read_info(tmp_path / name)
    assert (info.size, info.channels, info.dtype) == (pixels.shape[:2], pixels.shape[2], pixels.dtype.name)


@pytest.mark.parametrize("head", [b"P5 8 6 4095\n", b"P5 8 6 100\n", b"P6 8 6 65535\n"])
def test_values_that_would_change_are_refused(tmp_path, head):
    path = tmp_path / "a.ppm"
    path.write_bytes(head + bytes(6 * 8 * 6))
    for read in (read_info, read_image):
        with pytest.raises(DataError) as raised:
            read(path)
        assert str(raised.value.path) == str(path) and raised.value.remedy


def test_tga_files_are_read_to_the_bit(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.tga", compression="tga_rle")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tga").pixels, RGB)
