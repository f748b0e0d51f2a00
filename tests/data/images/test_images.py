"""Image files: every 8-bit kind gives the right values, and whatever RGB cannot hold is refused by name."""

import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from making import SHARED, TURNS, noise, save, smooth
from PIL import Image

from pix2pix.data.formats.convert import decode
from pix2pix.data.formats.image_format import RGB
from pix2pix.data.images.decoded import decode_image, resize
from pix2pix.data.images.files import is_image, read_image, read_info, write_image
from pix2pix.errors import DataError

ODD = SHARED / "data/odd"
needs_odd = pytest.mark.skipif(not ODD.is_dir(), reason=f"{ODD} is not here")
LOSSLESS = {".png": {}, ".bmp": {}, ".tif": {}, ".tiff": {"compression": "tiff_lzw"}, ".webp": {"lossless": True}}
PIXELS = noise(10, 14)
FLATTEN, REPLACE = "convert it, or set data.input_format.channels", "remove it or replace it"


def read_rgb(path: Path) -> np.ndarray:
    """As a data set of RGB pictures has it."""
    return decode(RGB.target, read_image(path), path, "data.input_format")


def _refused(path: Path, remedy: str, read=read_rgb) -> str:
    """What is said of the file, past its name."""
    with pytest.raises(DataError, match=re.escape(remedy)) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value)[len(f"{path}: ") :]


def _same(got: np.ndarray, want: np.ndarray) -> None:
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_files_give_the_pixels_that_were_written(tmp_path, kind):
    path = save(tmp_path / f"x{kind}", PIXELS, **LOSSLESS[kind])
    _same(read_rgb(path), PIXELS)
    assert read_info(path).size == (10, 14)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_opaque_rgba_is_rgb(tmp_path, kind):
    opaque = np.concatenate([PIXELS, np.full((10, 14, 1), 255, np.uint8)], 2)
    _same(read_rgb(save(tmp_path / f"x{kind}", opaque, **LOSSLESS[kind])), PIXELS)


@pytest.mark.parametrize("kind", [".png", ".bmp", ".tif", ".gif"])
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_black_and_white_and_palette_become_rgb(tmp_path, mode, kind):
    values = PIXELS[..., 0] > 99 if mode == "1" else PIXELS[..., 0]
    image = Image.fromarray(values)
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    if mode == "1":
        table[1] = 255
    if mode == "P":
        table = noise(256, 1)[:, 0]
        image.putpalette(table.tobytes())
    _same(read_rgb(save(tmp_path / f"x{kind}", image)), table[values.astype(np.uint8)])


@pytest.mark.parametrize(("kind", "apart"), [(".jpg", 4), (".tif", 1)])
def test_cmyk_is_turned_into_rgb(tmp_path, kind, apart):
    cmyk = np.concatenate([smooth(16, 16), np.full((16, 16, 1), 51, np.uint8)], 2)
    path = save(tmp_path / f"x{kind}", Image.fromarray(cmyk, "CMYK"), **({"quality": 100} if kind == ".jpg" else {}))
    want = (255.0 - cmyk[..., :3]) * 204 / 255
    assert np.abs(read_rgb(path) - want).max() <= apart


@pytest.mark.parametrize("options", [{"quality": 98, "subsampling": 0}, {"quality": 98, "progressive": True}])
def test_jpeg_and_lossy_webp_are_near(tmp_path, options):
    pixels = smooth(24, 16)
    for kind in (".jpg", ".JPEG", ".webp"):
        assert np.abs(read_rgb(save(tmp_path / f"x{kind}", pixels, **options)) - pixels.astype(float)).max() <= 6
    assert np.abs(read_rgb(save(tmp_path / "grey.jpg", pixels[..., 0])) - pixels[..., :1].astype(float)).max() <= 4


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(noise(6, 6, seed)[..., 0]) for seed in range(3)]
    path = save(tmp_path / "x.gif", frames[0], save_all=True, append_images=frames[1:])
    _same(read_rgb(path)[..., 1], np.asarray(frames[0]))


@pytest.mark.parametrize("kind", [".png", ".tif", ".tiff", ".webp", ".jpg"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_is_carried_out(tmp_path, kind, orientation):
    options = LOSSLESS.get(kind, {"quality": 95})
    stored = read_rgb(save(tmp_path / f"stored{kind}", PIXELS, **options))
    turned = read_rgb(save(tmp_path / f"turned{kind}", PIXELS, orientation, **options))
    _same(turned, TURNS[orientation](stored))


def test_exif_orientation_of_an_image_in_memory():
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = 6
    _same(decode_image(image).pixels, np.rot90(PIXELS, -1))


def test_transparency_is_refused(tmp_path):
    rgba = np.concatenate([PIXELS, np.full((10, 14, 1), 255, np.uint8)], 2)
    rgba[3, 4, 3] = 254
    palette = Image.fromarray(PIXELS[..., 0] % 8)
    palette.putpalette(list(range(24)))
    files = [
        save(tmp_path / "rgba.png", rgba),
        save(tmp_path / "rgba.tif", rgba),
        save(tmp_path / "rgba.webp", rgba, lossless=True),
        save(tmp_path / "la.png", Image.fromarray(rgba).convert("LA")),
        save(tmp_path / "palette.png", palette, transparency=3),
        save(tmp_path / "palette.gif", palette, transparency=3),
        save(tmp_path / "colour.png", PIXELS, transparency=tuple(PIXELS[0, 0].tolist())),
        save(tmp_path / "grey.png", PIXELS[..., 0], transparency=int(PIXELS[0, 0, 0])),
    ]
    for path in files:
        assert "transparent" in _refused(path, FLATTEN)
    _same(
        read_rgb(save(tmp_path / "unused.png", palette, transparency=9)),
        read_rgb(save(tmp_path / "p.png", palette)),
    )


@pytest.mark.parametrize("kind", [*LOSSLESS, ".jpg", ".gif"])
def test_truncated_files_are_refused(tmp_path, kind):
    whole = save(tmp_path / f"whole{kind}", noise(64, 64), **LOSSLESS.get(kind, {})).read_bytes()
    for part in (0, 3, 20, len(whole) // 2):
        path = tmp_path / f"part_{part}{kind}"
        path.write_bytes(whole[:part])
        _refused(path, REPLACE)


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("not a picture\n" * 99)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for read in (read_image, read_info):
        assert "is not an image" in _refused(tmp_path / "text.png", REPLACE, read)
        _refused(tmp_path / "folder.png", REPLACE, read)
        _refused(tmp_path / "loop.png", REPLACE, read)
        _refused(tmp_path / "missing.png", "no such file", read)
    _same(read_rgb(str(save(tmp_path / "x.png", PIXELS))), PIXELS)  # a name as text will do


def test_damaged_exif_is_no_bug_of_ours(tmp_path):
    """Text where EXIF has a number (tag 256, a width), over which Pillow fails when it turns the picture itself."""
    path = save(tmp_path / "x.jpg", PIXELS, 6, description="hello")
    path.write_bytes(path.read_bytes().replace(b"\x01\x0e\x00\x02", b"\x01\x00\x00\x02"))
    _same(read_rgb(path), np.rot90(read_rgb(save(tmp_path / "y.jpg", PIXELS)), -1))


@pytest.mark.parametrize("limit", [130, 60])  # Pillow warns above its limit and raises above twice that
def test_decompression_bombs_are_refused(tmp_path, monkeypatch, limit):
    path = save(tmp_path / "x.png", PIXELS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for read in (read_image, read_info):
        assert "decompression bomb" in _refused(path, "shrink or remove it", read)


def test_reading_in_threads_leaves_the_warnings_of_others_alone(tmp_path):
    paths = [save(tmp_path / f"{i}.png", noise(40, 40, i)) for i in range(20)] * 10
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_image, paths))
    assert warnings.filters == before


@needs_odd
def test_real_turned_pictures_are_upright():
    upright = read_rgb(ODD / "hopper.png").astype(float)
    for name in ("3.jpg", "5.jpg", "6.jpg", "6.webp", "8.jpg"):
        assert np.abs(read_rgb(ODD / f"hopper_orientation_{name}") - upright).mean() < 8, name


def test_resize_is_pillows_and_leaves_the_right_size_alone():
    assert resize(PIXELS, (10, 14), "bicubic") is PIXELS
    for name, filter in (("bicubic", Image.Resampling.BICUBIC), ("bilinear", Image.Resampling.BILINEAR)):
        for size in ((20, 7), (5, 28), (1, 1)):
            want = np.asarray(Image.fromarray(PIXELS).resize((size[1], size[0]), filter))
            got = resize(PIXELS, size, name)
            assert got.shape == (*size, 3)
            _same(got, want)
    _same(resize(np.full((9, 9, 3), 77, np.uint8), (4, 5), "bicubic"), np.full((4, 5, 3), 77))


def test_resize_of_half_a_picture_knows_nothing_of_the_other():
    _same(resize(PIXELS[:, :7], (5, 5), "bicubic"), resize(PIXELS[:, :7].copy(), (5, 5), "bicubic"))


def test_written_images_come_back(tmp_path):
    for kind in (".png", ".bmp", ".tif"):
        write_image(tmp_path / "a/b" / f"x{kind}", PIXELS)
        _same(read_rgb(tmp_path / "a/b" / f"x{kind}"), PIXELS)
    write_image(str(tmp_path / "x.jpg"), smooth(16, 16))
    assert np.abs(read_rgb(tmp_path / "x.jpg") - smooth(16, 16).astype(float)).max() <= 12


def test_which_names_are_images():
    names = ["a.png", "b.JPG", "c.jpeg", "d.WebP", "e.bmp", "f.gif", "g.tif", "h.TIFF", "i.b.png"]
    assert all(is_image(Path(name)) for name in names)
    assert not any(is_image(Path(name)) for name in [".a.png", "._a.jpg", "a.txt", "png", "a.png.part", ".png"])
