"""JPEG 2000 files: read to the bit, or refused where Pillow would reduce or rescale them."""

import numpy as np
import pytest
from reading import made, refused, same

imagecodecs = pytest.importorskip("imagecodecs")


@pytest.mark.parametrize("suffix", [".jp2", ".j2k"])
@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (2, "uint8"), (3, "uint8"), (4, "uint8"), (1, "uint16")])
def test_files_of_8_bits_and_grey_ones_of_16_are_read_to_the_bit(tmp_path, suffix, channels, dtype):
    pixels = made(channels, dtype, 32, 40)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(imagecodecs.jpeg2k_encode(pixels.squeeze(), level=0, codecformat=suffix[1:]))
    same(path, pixels)


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (made(3, "uint16", 32, 32), {}),
        (made(1, "uint16", 32, 32)[..., 0] % 4096, {"bitspersample": 12}),
        (made(1, "uint8", 32, 32)[..., 0].astype(np.int8), {}),
    ],
)
def test_values_that_pillow_would_change_are_refused(tmp_path, pixels, options):
    path = tmp_path / "a.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, **options))
    refused(path, "convert it to PNG or TIFF")


def test_truncated_files_are_refused(tmp_path):
    data = imagecodecs.jpeg2k_encode(made(3, "uint8", 32, 32), level=0)
    path = tmp_path / "a.jp2"
    for part in (len(data) // 2, len(data) - 2):
        path.write_bytes(data[:part])
        refused(path, "replace it", header=False)
