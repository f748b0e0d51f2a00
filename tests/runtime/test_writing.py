"""Resizing, and what is written: it comes back to the bit wherever `holds` says so."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from making import noise, smooth
from PIL import Image
from reading import made, same

from pix2pix.data.images.decoded import resize
from pix2pix.data.images.files import holds, is_image, read_image, write_image
from pix2pix.errors import DataError

RGB = noise(10, 14)


@pytest.mark.parametrize("name", ["bicubic", "bilinear", "nearest"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_resize_is_pillows(name, channels):
    filter = Image.Resampling[name.upper()]
    for dtype in ("uint8", "uint16", "float32", "bool"):
        pixels = made(channels, "uint8", 12, 10) > 99 if dtype == "bool" else made(channels, dtype, 12, 10)
        assert resize(pixels, (12, 10), name) is pixels
        for size in ((24, 7), (5, 31), (1, 1)):
            got = resize(pixels, size, name, alpha=channels in (2, 4))
            assert got.shape == (*size, channels) and got.dtype == pixels.dtype
            if dtype == "uint8" and channels <= 4:
                image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
                want = np.asarray(image.resize(size[::-1], filter)).reshape(got.shape)
            else:
                planes = [Image.fromarray(plane) for plane in pixels.transpose(2, 0, 1).astype(np.float32)]
                want = np.stack([np.asarray(plane.resize(size[::-1], filter), np.float64) for plane in planes], 2)
                if dtype != "float32":
                    want = np.clip(np.round(want), 0, 65535 if dtype == "uint16" else 255 if dtype == "uint8" else 1)
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["bicubic", "bilinear", "nearest"])
def test_bands_that_are_no_transparency_are_resized_each_for_itself(name):
    bands = np.random.default_rng(1).integers(1, 256, (64, 64, 4), np.uint8)
    bands[:32, :, 3] = 0
    for channels in (2, 4):
        got = resize(bands[..., -channels:], (32, 24), name)
        for band in range(channels):
            alone = resize(bands[..., band - channels, None], (32, 24), name)
            np.testing.assert_allclose(got[..., band, None], alone, atol=1)
        assert got[:12, :, :-1].all()


def test_nearest_takes_only_ids_that_are_there_and_agrees_among_types():
    ids = made(1, "uint16", 40, 30) | 256
    for size in ((17, 23), (101, 77), (286, 286)):
        got = resize(ids, size, "nearest")
        assert set(np.unique(got)) <= set(np.unique(ids)) and got.min() > 255
        small = resize((ids & 255).astype(np.uint8), size, "nearest")
        np.testing.assert_array_equal(got & 255, small)
    wide = made(1, "int32", 8, 8)
    assert set(np.unique(resize(wide, (5, 9), "nearest"))) <= set(np.unique(wide))


SUFFIXES = [".png", ".tif", ".TIFF", ".npy", ".bmp", ".jpg", ".webp", ".gif", ".ico", ".pcx", ".mpo"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_held_comes_back_to_the_bit(tmp_path, suffix):
    held = set()
    for channels in (1, 2, 3, 4, 5, 12):
        for dtype in ("uint8", "uint16", "float32", "bool", "int32"):
            pixels = made(channels, "uint8", 16, 13) > 99 if dtype == "bool" else made(channels, dtype, 16, 13)
            path = tmp_path / "new" / f"{channels}{dtype}{suffix}"
            if holds(suffix, channels, dtype):
                held.add((channels, dtype))
                write_image(path, pixels)
                same(path, pixels)
            elif suffix in (".jpg", ".webp") and dtype == "uint8" and channels == 3:
                write_image(path, np.tile(smooth(16, 16), (2, 2, 1)))
                assert np.abs(read_image(path).pixels - np.tile(smooth(16, 16), (2, 2, 1)).astype(float)).mean() < 6
            elif not (dtype == "uint8" and suffix in (".jpg", ".webp")):
                with pytest.raises(DataError, match=re.escape(f"{path}: ") + ".*write .png, .tif or .npy"):
                    write_image(path, pixels)
    four = {1, 2, 3, 4}
    assert held == {
        ".png": {(c, t) for c in four for t in ("uint8", "uint16")},
        ".bmp": {(1, "uint8"), (3, "uint8")},
        ".tif": {(c, t) for c in {*four, 5, 12} for t in ("uint8", "uint16", "float32")},
        ".npy": {(c, t) for c in {*four, 5, 12} for t in ("uint8", "uint16", "float32", "bool", "int32")},
    }.get(suffix.lower()[:4], set())


def test_palettes_are_written_as_png(tmp_path):
    indices = RGB[..., :1] % 12
    for columns in (3, 4):
        palette = noise(12, 2)[:, 0] if columns == 3 else noise(12, 2).reshape(12, -1)[:, :4]
        write_image(tmp_path / "x.png", indices, palette)
        picture = read_image(tmp_path / "x.png")
        np.testing.assert_array_equal(picture.pixels, indices)
        np.testing.assert_array_equal(picture.palette[:12], palette)
    for name, pixels in (("x.tif", indices), ("x.png", RGB), ("x.png", indices.astype(np.uint16))):
        with pytest.raises(DataError, match="with a palette"):
            write_image(tmp_path / name, pixels, palette)


def test_written_files_are_those_of_pillow(tmp_path):
    write_image(str(tmp_path / "x.png"), RGB)
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "PNG", compress_level=1)
    assert (tmp_path / "x.png").read_bytes() == buffer.getvalue()


def test_which_names_are_images():
    assert all(is_image(Path(f"x{suffix}")) for suffix in (*SUFFIXES, ".JFIF", ".jpeg"))
    assert not any(is_image(Path(name)) for name in (".x.npy", "x.npz", "npy", "x.npy.part"))
