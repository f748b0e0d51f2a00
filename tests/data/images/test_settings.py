"""The limit on the size of images, by thread, and the silence of decoders; both are restored afterwards."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from making import noise, save
from PIL import Image

from pix2pix.data.images import settings
from pix2pix.data.images.files import read_image, read_info
from pix2pix.data.images.settings import at_most, decoding, pixel_limit
from pix2pix.errors import DataError

SIDE = 12


def files(folder) -> list:
    np.save(folder / "a.npy", noise(SIDE, SIDE))
    return [save(folder / f"a{suffix}", noise(SIDE, SIDE)) for suffix in (".png", ".jpg", ".tif")] + [folder / "a.npy"]


@pytest.mark.parametrize("pillows", [1, 10**6])
def test_the_limit_is_the_setting_to_the_pixel_whatever_pillows_is(tmp_path, monkeypatch, pillows):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows)
    for path in files(tmp_path):
        for read in (read_info, read_image):
            with at_most(SIDE * SIDE):
                read(path)
            with at_most(SIDE * SIDE - 1), pytest.raises(DataError) as refused:
                read(path)
            assert (refused.value.path, refused.value.code) == (path, "too-large")
            assert f"{SIDE * SIDE - 1:,}" in refused.value.reason
            assert all(name in refused.value.remedy for name in ("data.max_pixels", "--max-pixels"))
    assert pillows == Image.MAX_IMAGE_PIXELS and pixel_limit.get() is None


def test_threads_with_different_limits_do_not_share_them(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    paths, both = files(tmp_path), Barrier(3)

    def read(limit):
        refused = 0
        with at_most(limit):
            both.wait()
            for path in paths * 20:
                try:
                    read_image(path)
                except DataError:
                    refused += 1
        return refused

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(read, (SIDE * SIDE, SIDE * SIDE - 1, None))) == [0, 80, 80]
    assert Image.MAX_IMAGE_PIXELS == 10


def test_damaged_tiffs_are_refused_without_a_word_of_the_decoder(tmp_path, capfd):
    if settings._libtiff() is None:
        pytest.skip("this Pillow does not export the functions of libtiff")
    path = save(tmp_path / "a.tif", noise(40, 40), compression="tiff_adobe_deflate")
    data = bytearray(path.read_bytes())
    data[20], data[30] = data[20] ^ 255, data[30] ^ 255
    path.write_bytes(data)
    filters = list(warnings.filters)
    with pytest.raises(DataError) as refused:
        read_image(path)
    assert refused.value.path == path and capfd.readouterr().err == ""
    assert warnings.filters == filters
    with pytest.raises(OSError), Image.open(path) as image:  # what it says elsewhere is no business of ours
        image.load()
    assert "Decode" in capfd.readouterr().err


def test_nested_reading_keeps_the_outer_limit(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    with at_most(50), decoding():
        with decoding(), at_most(None):
            assert (Image.MAX_IMAGE_PIXELS, pixel_limit.get()) == (50, 50)
        assert Image.MAX_IMAGE_PIXELS == 50
    assert Image.MAX_IMAGE_PIXELS == 7
