"""Pictures that Pillow holds: each kind gives its own values and number type."""

import re
import zlib

import numpy as np
import PIL
import pytest
from making import SHARED, TURNS, chunk, noise, png, save, shallow_png, smooth
from PIL import Image, ImageOps
from reading import made, refused, same

from pix2pix.data.images.files import DecodedImage, decode_image, read_image, read_info
from pix2pix.data.images.info import png_stream
from pix2pix.errors import DataError

ODD = SHARED / "data/odd"
needs_odd = pytest.mark.skipif(not ODD.is_dir(), reason=f"{ODD} is not here")
LOSSLESS = {".png": {}, ".bmp": {}, ".tif": {}, ".tiff": {"compression": "tiff_lzw"}, ".webp": {"lossless": True}}
RGB = noise(10, 14)
RGBA = np.concatenate([RGB, noise(10, 14, 1)[..., :1]], 2)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_colour_and_transparency_are_kept(tmp_path, kind):
    same(save(tmp_path / f"x{kind}", RGB, **LOSSLESS[kind]), RGB)
    if kind != ".bmp":
        visible = np.maximum(RGBA, [0, 0, 0, 1]).astype(np.uint8)  # WebP forgets the colours behind alpha 0
        same(save(tmp_path / f"a{kind}", visible, **LOSSLESS[kind]), visible)
        assert read_image(tmp_path / f"a{kind}").alpha and not read_image(tmp_path / f"x{kind}").alpha
    if kind in (".png", ".tif"):
        same(save(tmp_path / f"la{kind}", Image.fromarray(RGBA[..., 2:])), RGBA[..., 2:])


def test_rgbx_has_a_padding_that_is_no_channel():
    image = Image.frombytes("RGBX", (14, 10), RGBA.tobytes())
    np.testing.assert_array_equal(decode_image(image).pixels, RGB)


@pytest.mark.parametrize("kind", [".png", ".bmp", ".tif", ".gif"])
def test_grey_and_black_and_white(tmp_path, kind):
    grey = RGB[..., :1]
    bits = grey > 99
    for pixels, want in ((grey[..., 0], grey), (bits[..., 0], bits * np.uint8(255))):
        picture = read_image(save(tmp_path / f"x{kind}", pixels))
        np.testing.assert_array_equal(picture.colours()[..., :1], want)
        if kind != ".gif":
            same(tmp_path / f"x{kind}", want)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [None, 1])
def test_shallow_png(tmp_path, depth, transparent):
    """Values are scaled to 0..255, and so is the transparent one, which Pillow forgets; indices are not scaled."""
    most = 2**depth - 1
    values = RGB[..., 0] & most
    want = (values * (255 // most))[..., None]
    grey = shallow_png(tmp_path / "grey.png", values, depth, transparent)
    alpha = np.where(want == (255 // most if transparent else -1), 0, 255).astype(np.uint8)
    same(grey, want if transparent is None else np.concatenate([want, alpha], 2))
    image = Image.fromarray(values)
    image.putpalette(noise(most + 1, 1)[:, 0].tobytes())
    path = save(tmp_path / "palette.png", image, bits=depth, **({} if transparent is None else {"transparency": 1}))
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels[..., 0], values)
    np.testing.assert_array_equal(picture.palette[: most + 1, :3], noise(most + 1, 1)[:, 0])
    if transparent is not None:
        np.testing.assert_array_equal(picture.colours()[..., 3:], np.where(values == 1, 0, 255)[..., None])
    assert read_info(path).paletted and read_info(path).channels == picture.colours().shape[2]


def test_a_png_whose_last_rows_are_black_is_whole_or_not(tmp_path):
    """Pillow leaves rows that are missing black, so that black ones are looked at twice, interlaced ones always."""
    for channels, dtype in ((1, "uint8"), (3, "uint8"), (4, "uint8"), (1, "uint16")):
        pixels = made(channels, dtype, 13, 11)
        pixels[-2:] = 0
        path = png(tmp_path / "x.png", pixels)
        same(path, pixels)
        whole = path.read_bytes()
        for rows in (12, 6, 1):
            start = whole.index(b"IDAT") - 4
            short = png(tmp_path / "short.png", pixels[:rows]).read_bytes()
            path.write_bytes(whole[:start] + short[short.index(b"IDAT") - 4 :])
            refused(path, "image file is truncated", header=False)


@needs_odd
def test_an_interlaced_png_is_whole(tmp_path):
    """pil123p.png and pil123rgba.png are, and are read in the test of all odd files; here one pass is missing."""
    for name in ("pil123p.png", "pil123rgba.png"):
        data = (ODD / name).read_bytes()
        start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
        pixels = zlib.decompress(b"".join(png_stream(data)))
        (tmp_path / name).write_bytes(data[:start] + chunk(b"IDAT", zlib.compress(pixels)) + data[end:])
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, read_image(ODD / name).pixels)
        (tmp_path / name).write_bytes(data[:start] + chunk(b"IDAT", zlib.compress(pixels[:-1])) + data[end:])
        refused(tmp_path / name, "image file is truncated", header=False)


def test_a_transparent_colour_becomes_alpha(tmp_path):
    key = RGB[3, 4]
    alpha = np.where((key == RGB).all(2, keepdims=True), 0, 255).astype(np.uint8)
    path = save(tmp_path / "x.png", RGB, transparency=tuple(key.tolist()))
    same(path, np.concatenate([RGB, alpha], 2))
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path).pixels, np.asarray(image.convert("RGBA")))


@pytest.mark.parametrize("transparency", [None, 3, bytes([0, 9, 255, 70])])
def test_palettes_are_kept_with_their_indices(tmp_path, transparency):
    image = Image.fromarray(RGB[..., 0] % 8)
    image.putpalette(noise(8, 1)[:, 0].tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    for kind in (".png", ".gif", ".tif", ".bmp"):
        if (kind in (".tif", ".bmp") and options) or (kind == ".gif" and isinstance(transparency, bytes)):
            continue
        path = save(tmp_path / f"x{kind}", image, **options)
        picture, header = read_image(path), read_info(path)
        with Image.open(path) as opened:
            want = np.asarray(opened.convert("RGBA" if options else "RGB"))
        np.testing.assert_array_equal(picture.colours(), want)
        assert picture.pixels.shape == (10, 14, 1) and picture.pixels.dtype == picture.palette.dtype == np.uint8
        assert header.paletted and header.channels == (4 if options else 3) == picture.palette.shape[1]
        if kind != ".gif":
            np.testing.assert_array_equal(picture.pixels[..., 0], RGB[..., 0] % 8)


@pytest.mark.parametrize("transparency", [None, 3, bytes([0, 9, 255] * 20)])
def test_an_index_without_a_colour_is_black(transparency):
    image = Image.fromarray(RGB[..., 0])
    image.putpalette(noise(8, 1)[:, 0].tobytes())
    if transparency is not None:
        image.info["transparency"] = transparency
    picture = decode_image(image)
    assert len(picture.palette) > RGB[..., 0].max()
    want = image.convert("RGB" if transparency is None else "RGBA")
    np.testing.assert_array_equal(picture.colours(), np.asarray(want))
    assert "transparency" in image.info or transparency is None  # what is given is left alone


def test_palette_with_alpha_of_each_pixel_becomes_rgba():
    image = Image.fromarray(RGB[..., 0] % 8)
    image.putpalette(noise(8, 1)[:, 0].tobytes())
    image = image.convert("PA")
    image.putalpha(Image.fromarray(RGBA[..., 3]))
    want = np.concatenate([noise(8, 1)[:, 0][RGB[..., 0] % 8], RGBA[..., 3:]], 2)
    np.testing.assert_array_equal(decode_image(image).pixels, want)


@pytest.mark.parametrize(("kind", "apart"), [(".jpg", 4), (".tif", 1)])
def test_cmyk_becomes_rgb(tmp_path, kind, apart):
    cmyk = np.concatenate([smooth(16, 16), np.full((16, 16, 1), 51, np.uint8)], 2)
    path = save(tmp_path / f"x{kind}", Image.fromarray(cmyk, "CMYK"), **({"quality": 100} if kind == ".jpg" else {}))
    want = (255.0 - cmyk[..., :3]) * 204 / 255
    assert np.abs(read_image(path).pixels - want).max() <= apart
    assert read_info(path).channels == 3


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="Pillow before 13 refuses such a file")
def test_uncompressed_ycbcr_becomes_rgb(tmp_path):
    image = Image.fromarray(smooth(16, 16)).convert("YCbCr")
    assert np.abs(read_image(save(tmp_path / "x.tif", image)).pixels - smooth(16, 16).astype(float)).max() <= 3


def test_ycbcr_becomes_rgb(tmp_path):
    image = Image.fromarray(smooth(16, 16)).convert("YCbCr")
    path = save(tmp_path / "jpeg.tif", image, compression="jpeg", quality=98)
    assert np.abs(read_image(path).pixels - smooth(16, 16).astype(float)).max() <= 6
    np.testing.assert_array_equal(decode_image(image).pixels, np.asarray(image.convert("RGB")))


def test_lab_becomes_srgb(tmp_path):
    """Against the formulas of CIE Lab (white D50, adapted to D65 by Bradford) and of sRGB."""
    lab = np.stack(np.meshgrid(np.arange(90, 180, 10), np.arange(-20, 25, 10)), -1)  # 255 is the greatest lightness
    lab = np.concatenate([lab, -lab[..., 1:]], 2)
    image = Image.frombytes("LAB", (9, 5), (lab & 255).astype(np.uint8).tobytes())
    lightness, a, b = lab[..., 0] * 100 / 255, lab[..., 1], lab[..., 2]
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    matrix = [[3.1339, -1.6169, -0.4906], [-0.9788, 1.9161, 0.0335], [0.0719, -0.2290, 1.4052]]
    linear = np.clip(xyz @ np.transpose(matrix), 0, 1)
    want = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(decode_image(image).pixels - want).max() <= 2.5
    path = save(tmp_path / "x.tif", image)
    np.testing.assert_array_equal(read_image(path).pixels, decode_image(image).pixels)


@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_deep_grey(tmp_path, kind):
    for mode in ("I;16", "I;16B") if kind == ".tif" else ("I;16",):
        image = Image.frombytes(mode, (9, 7), made(1).astype(">u2" if mode == "I;16B" else "<u2").tobytes())
        same(save(tmp_path / f"x{kind}", image), made(1))
        np.testing.assert_array_equal(decode_image(image).pixels, made(1))
    if kind == ".tif":
        for dtype in ("float32", "int32"):
            same(save(tmp_path / "x.tif", made(1, dtype)[..., 0]), made(1, dtype))
            np.testing.assert_array_equal(decode_image(Image.fromarray(made(1, dtype)[..., 0])).pixels, made(1, dtype))


@pytest.mark.parametrize("kind", [".gif", ".png", ".webp", ".tif"])
def test_first_frame_of_an_animation(tmp_path, kind):
    frames = [Image.fromarray(noise(6, 6, seed)) for seed in range(3)]
    if kind == ".gif":
        frames = [frame.getchannel(0) for frame in frames]
    options = {"save_all": True, "append_images": frames[1:], **({"lossless": True} if kind == ".webp" else {})}
    path = save(tmp_path / f"x{kind}", frames[0], **options)
    np.testing.assert_array_equal(read_image(path).colours()[..., 0], np.asarray(frames[0]).reshape(6, 6, -1)[..., 0])
    assert read_info(path).frames == 3


def test_first_picture_of_an_mpo(tmp_path):
    frames = [Image.fromarray(smooth(16, 16)), Image.fromarray(noise(16, 16))]
    path = save(tmp_path / "x.mpo", frames[0], save_all=True, append_images=frames[1:], quality=98)
    assert np.abs(read_image(path).pixels - smooth(16, 16).astype(float)).max() <= 6
    assert read_info(path).frames == 2


@pytest.mark.parametrize("kind", [".png", ".tif", ".tiff", ".webp", ".jpg", "L.tif", "RGBA.tif", "P.png"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_is_carried_out(tmp_path, kind, orientation):
    mode = kind.partition(".")[0]
    image = Image.fromarray(RGBA).convert(mode) if mode else Image.fromarray(RGB)
    options = LOSSLESS.get(kind, {"quality": 95} if kind == ".jpg" else {})
    stored = read_image(save(tmp_path / f"stored{kind}", image, **options)).colours()
    path = save(tmp_path / f"turned{kind}", image, orientation, **options)
    want = np.stack(
        [TURNS[orientation](plane[..., None].repeat(3, 2))[..., 0] for plane in stored.transpose(2, 0, 1)], 2
    )
    np.testing.assert_array_equal(read_image(path).colours(), want)
    assert read_info(path).size == want.shape[:2]


def test_images_in_memory():
    image = Image.fromarray(RGB)
    image.getexif()[0x0112] = 6
    np.testing.assert_array_equal(decode_image(image).pixels, np.rot90(RGB, -1))
    for array in (RGB, RGB[..., 0], made(5, "float32")):
        np.testing.assert_array_equal(decode_image(array).pixels, array.reshape(*array.shape[:2], -1))
    assert decode_image(np.ones((2, 2))).pixels.dtype == np.float32
    for wrong, text in (
        (np.zeros((3, 9, 9)), "x: has the shape [3, 9, 9]"),
        (Image.new("RGB", (0, 3)), "x: has no"),
        ("x.png", "x: is a str; give a PIL image or an array"),
    ):
        with pytest.raises(DataError, match=re.escape(text)):
            decode_image(wrong, "x")
    assert DecodedImage(RGB).colours() is RGB


@needs_odd
def test_each_real_odd_file_is_judged_as_its_manifest_says():
    entries = [line.split("\t") for line in (ODD / "MANIFEST.tsv").read_text().splitlines()]
    assert len(entries) == 65
    for name, _, about in entries:
        path = ODD / name
        if "FAILS" in about:
            refused(path, "remove it", header=False)
            continue
        _, mode, size, turn, _, frames = about.split()
        picture, header = read_image(path), read_info(path)
        width, height = map(int, size.split("x"))
        turned = turn.endswith(("=5", "=6", "=7", "=8"))
        assert header.size == picture.pixels.shape[:2] == ((width, height) if turned else (height, width)), name
        assert header.frames == int(frames.removeprefix("frames=")), name
        assert (header.channels, header.dtype) == (picture.colours().shape[2], picture.pixels.dtype.name), name
        assert header.paletted == (picture.palette is not None) == (mode == "P"), name
        if header.dtype == "uint8" and mode != "LAB":  # independently: by way of another file that Pillow writes
            with Image.open(path) as image:
                want = np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
            got = Image.fromarray(picture.colours().squeeze(2) if header.channels == 1 else picture.colours())
            np.testing.assert_array_equal(np.asarray(got.convert("RGBA")), want, name)


@needs_odd
def test_real_turned_pictures_are_upright():
    upright = read_image(ODD / "hopper.png").pixels.astype(float)
    for name in ("3.jpg", "5.jpg", "6.jpg", "6.webp", "8.jpg"):
        assert np.abs(read_image(ODD / f"hopper_orientation_{name}").pixels - upright).mean() < 8, name
