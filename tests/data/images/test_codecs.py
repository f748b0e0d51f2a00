"""What Pillow would reduce or cannot hold: 16-bit colour PNG, deep, many-channelled and stacked TIFF, .npy arrays."""

import re
import struct
import sys

import numpy as np
import pytest
import tifffile
from making import SHARED, TURNS, chunk, exif_chunk, png, save, tiff
from PIL import Image
from reading import made, refused, same

from pix2pix.data.images.files import holds, read_image, read_info, write_image
from pix2pix.errors import DataError

ODD = SHARED / "data/odd"
needs_odd = pytest.mark.skipif(not ODD.is_dir(), reason=f"{ODD} is not here")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png(tmp_path, channels):
    same(png(tmp_path / "x.png", made(channels)), made(channels))


def test_16_bit_png_with_a_transparent_colour(tmp_path):
    for channels in (1, 3):
        pixels = made(channels)
        key = pixels[2, 3].tolist()
        pixels[4, 5], near = key, pixels[2, 3] ^ 1  # a neighbour that 8 bits would take for it
        pixels[4, 6] = near
        alpha = np.where((pixels == key).all(2, keepdims=True), 0, 65535).astype(np.uint16)
        path = png(tmp_path / "x.png", pixels, chunk(b"tRNS", struct.pack(f">{channels}H", *key)))
        same(path, np.concatenate([pixels, alpha], 2))
        assert (alpha == 0).sum() == 2


@pytest.mark.parametrize("orientation", TURNS)
def test_16_bit_pictures_are_turned_upright(tmp_path, orientation):
    for channels in (1, 3):
        pixels, turn = made(channels), TURNS[orientation]
        want = np.stack([turn(np.repeat(plane[..., None], 3, 2))[..., 0] for plane in np.moveaxis(pixels, 2, 0)], 2)
        same(png(tmp_path / "before.png", pixels, before=exif_chunk(orientation)), want)
        same(png(tmp_path / "behind.png", pixels, behind=exif_chunk(orientation)), want)
        same(tiff(tmp_path / "x.tif", pixels, t274=orientation), want)
        small = (pixels >> 8).astype(np.uint8)
        same(png(tmp_path / "8.png", small, behind=exif_chunk(orientation)), (want >> 8).astype(np.uint8))
        same(tiff(tmp_path / "8.tif", small, t274=orientation), (want >> 8).astype(np.uint8))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "uint32", "int16", "int8", "float16", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_tiff_of_any_channels_and_type(tmp_path, channels, dtype):
    pixels = made(channels, dtype)
    want = pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels
    if channels in (1, 3, 4):
        same(tiff(tmp_path / "plain.tif", pixels), want)
    unnamed = {"extrasamples": ["unspecified"] * (channels - 1)} if channels > 1 else {}
    for name, options in {
        "interleaved": {"planarconfig": "contig"},
        "planes": {"planarconfig": "separate"},
        "strips": {"planarconfig": "separate", "rowsperstrip": 3, "compression": "zlib"},
        "tiles": {"planarconfig": "contig", "tile": (16, 16), "compression": "lzw", "byteorder": ">"},
        "big": {"planarconfig": "contig", "bigtiff": True},
    }.items():
        path = tmp_path / f"{name}.tif"
        planes = np.moveaxis(pixels, 2, 0) if options["planarconfig"] == "separate" and channels > 1 else pixels
        options = options if channels > 1 else {k: v for k, v in options.items() if k != "planarconfig"}
        planes = planes[..., 0] if channels == 1 else planes
        tifffile.imwrite(path, planes, photometric="minisblack", metadata=None, **options, **unnamed)
        same(path, want)


def test_white_may_be_zero(tmp_path):
    for dtype in ("uint8", "uint16"):
        pixels = made(1, dtype)
        same(tiff(tmp_path / f"{dtype}.tif", pixels, t262=0), np.iinfo(dtype).max - pixels)
        tifffile.imwrite(tmp_path / "big_endian.tif", pixels[..., 0], photometric="miniswhite", byteorder=">")
        same(tmp_path / "big_endian.tif", np.iinfo(dtype).max - pixels)


def test_stacks_are_channels_and_other_pages_are_frames(tmp_path):
    for dtype in ("uint8", "uint16", "float32"):
        stack = made(6, dtype)
        tifffile.imwrite(tmp_path / "stack.tif", np.moveaxis(stack, 2, 0), photometric="minisblack")
        same(tmp_path / "stack.tif", stack)
    pages = [Image.fromarray(page) for page in np.moveaxis(made(3, "uint8"), 2, 0)]
    same(save(tmp_path / "pillow.tif", pages[0], save_all=True, append_images=pages[1:]), made(3, "uint8"))
    small = pages[1].resize((4, 3))
    same(save(tmp_path / "sizes.tif", pages[0], save_all=True, append_images=[small]), made(3, "uint8")[..., :1], 2)
    colour = [Image.fromarray(made(3, "uint8")), Image.fromarray(made(4, "uint8")[..., :3])]
    same(save(tmp_path / "colour.tif", colour[0], save_all=True, append_images=colour[1:]), made(3, "uint8"), 2)
    with tifffile.TiffWriter(tmp_path / "deep.tif") as file:
        for page in (made(3), made(4)):
            file.write(page, photometric="rgb")
    same(tmp_path / "deep.tif", made(3), 2)


def test_16_bit_cmyk_and_premultiplied_alpha(tmp_path):
    inks = made(4)
    tifffile.imwrite(tmp_path / "cmyk.tif", inks, photometric="separated", metadata=None)
    want = (1 - inks[..., :3] / 65535) * (1 - inks[..., 3:] / 65535) * 65535
    got = read_image(tmp_path / "cmyk.tif").pixels
    assert got.dtype == np.uint16 and np.abs(got - want).max() <= 0.5
    assert read_info(tmp_path / "cmyk.tif").channels == 3
    colours, alpha = made(3), np.full((7, 9, 1), 40000, np.uint16)
    alpha[3, 3], alpha[3, 4] = 0, 65535
    dim = np.rint(colours * (alpha / 65535)).astype(np.uint16)
    path = tmp_path / "alpha.tif"
    tifffile.imwrite(path, np.concatenate([dim, alpha], 2), photometric="rgb", extrasamples=["assocalpha"])
    got = read_image(path).pixels
    np.testing.assert_array_equal(got[..., 3:], alpha)
    assert read_image(path).alpha and read_info(path).alpha
    tifffile.imwrite(path, inks, photometric="rgb", extrasamples=["unspecified"])
    assert not read_image(path).alpha and not read_info(path).alpha
    assert np.abs(got[..., :3].astype(int) - colours)[alpha[..., 0] > 0].max() <= 1
    assert (got[3, 3] == 0).all()


def test_tiff_of_bits_is_black_and_white(tmp_path):
    bits = made(1, "uint8") > 99
    tifffile.imwrite(tmp_path / "1.tif", bits[..., 0], photometric="minisblack")
    same(tmp_path / "1.tif", bits * np.uint8(255))
    tifffile.imwrite(tmp_path / "stack.tif", np.repeat(bits, 3, 2).transpose(2, 0, 1), photometric="miniswhite")
    same(tmp_path / "stack.tif", np.repeat(~bits, 3, 2) * np.uint8(255))


def test_12_bits_are_not_scaled(tmp_path):
    pixels = made(1, width=20) >> 4
    first, second = pixels[:, ::2, 0], pixels[:, 1::2, 0]  # two numbers of 12 bits in three bytes
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1)
    packed = packed.reshape(len(pixels), -1, 1).astype(np.uint8)
    same(tiff(tmp_path / "x.tif", packed, t256=20, t258=12), pixels)
    same(tiff(tmp_path / "x.tif", packed, t256=20, t258=12, t262=0), 4095 - pixels)  # white is zero


@needs_odd
def test_real_deep_files_against_other_readers():
    for name in ("12bit.cropped.tif", "16bit.MM.deflate.tif", "16bit.cropped.tif"):
        with tifffile.TiffFile(ODD / name) as file:
            same(ODD / name, file.asarray()[..., None])
    for name in ("i_trns.png", "apng_mode_16bit.png"):
        with Image.open(ODD / name) as image:  # 8 bits: the high bytes
            eight = np.asarray(image.convert("RGBA") if image.mode != "I;16" else image)
        picture = read_image(ODD / name)
        assert picture.pixels.dtype == np.uint16
        if name == "i_trns.png":
            np.testing.assert_array_equal(picture.pixels[..., 0], eight)
            np.testing.assert_array_equal(picture.pixels[..., 1], np.where(eight == 255, 0, 65535))
        else:
            assert np.abs(picture.pixels / 65535 - eight / 255).max() <= 1 / 255
            assert read_info(ODD / name).frames == 3


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "uint16", "float16", ">f4", "float64", ">u2"])
def test_npy(tmp_path, dtype):
    pixels = np.arange(6 * 7 * 5).reshape(6, 7, 5).astype(dtype)
    want = pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels.astype(pixels.dtype.newbyteorder("="))
    for array, expected in ((pixels, want), (pixels[..., 0], want[..., :1]), (np.asfortranarray(pixels), want)):
        np.save(tmp_path / "x.npy", array)
        same(tmp_path / "x.npy", expected)


def test_npy_of_what_is_no_picture_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    for array, text in {
        "shape [3, 20, 30], which looks like [channels, height, width]": np.zeros((3, 20, 30)),
        "shape [12, 20, 30], which looks": np.zeros((12, 20, 30)),
        "shape [2, 3, 4, 5]; save [height, width]": np.zeros((2, 3, 4, 5)),
        "shape [7]; save": np.zeros(7),
        "shape []; save": np.zeros(()),
        "holds complex128 values": np.zeros((4, 4), complex),
        "holds <U1 values": np.full((4, 4), "a"),
        "[('a', '<f4')] values": np.zeros((4, 4), [("a", "<f4")]),
    }.items():
        np.save(path, text)
        refused(path, array)
    np.save(path, np.zeros((0, 4)))
    refused(path, "remove it or replace it")
    np.save(path, np.array([[{}]]), allow_pickle=True)
    refused(path, "remove it or replace it")
    np.save(path, np.zeros((9, 9)))
    whole = path.read_bytes()
    for part in (0, 5, 50, len(whole) - 1):
        path.write_bytes(whole[:part])
        refused(path, "remove it or replace it")
    path.write_bytes(whole.replace(b"(9, 9), }        ", b"(99999, 9999999), }"[:17].ljust(17)))
    refused(path, "remove it or replace it")


def test_bombs_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    files = [tmp_path / name for name in ("colour.png", "colour.tif", "stack.tif", "unknown.tif", "x.npy")]
    png(files[0], made(3, height=12, width=12))
    tiff(files[1], made(3, height=12, width=12))
    tifffile.imwrite(files[2], np.zeros((16, 6, 6), np.uint16), photometric="minisblack")
    tifffile.imwrite(files[3], np.zeros((12, 12), np.float16))
    np.save(files[4], made(1, height=12, width=12))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12 * 12)
    for path in files:
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12 * 12 - 1)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)  # would fail in another way
    for path in files:
        refused(path, "decompression bomb; shrink or remove it")
    with open(files[4], "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
        np.lib.format.write_array_header_1_0(file, header)
    refused(files[4], "remove it")


def test_without_the_extra_what_needs_it_is_refused_with_the_remedy(tmp_path, monkeypatch):
    deep = {
        "is a 16-bit colour PNG": png(tmp_path / "x.png", made(3)),
        "is a TIFF of 3 channels of 16 bits": tiff(tmp_path / "colour.tif", made(3)),
        "is a TIFF of 4 channels of 8 bits": tiff(tmp_path / "infrared.tif", made(4, "uint8")),
        "TIFF of pixels that Pillow does not know": tiff(tmp_path / "float.tif", made(3, "float32")),
        "white is zero": tiff(tmp_path / "white.tif", made(1), t262=0),
        "is a TIFF of 3 grey pages": tmp_path / "stack.tif",
    }
    tifffile.imwrite(tmp_path / "stack.tif", np.moveaxis(made(3), 2, 0), photometric="minisblack")
    plain = [
        save(tmp_path / "grey.tif", made(1)[..., 0]),
        save(tmp_path / "float1.tif", made(1, "float32")[..., 0]),
        save(tmp_path / "8.tif", made(4, "uint8")),
        png(tmp_path / "grey.png", made(1)),
    ]
    for missing in ("imagecodecs", "tifffile"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            for what, path in deep.items():
                refused(path, what)
                refused(path, "pip install 'pix2pix[formats]'")
            for path in plain:
                read_info(path), read_image(path)
            assert not holds(".png", 3, "uint16") and not holds(".tif", 5, "uint8") and holds(".png", 1, "uint16")
            with pytest.raises(DataError, match=re.escape("pip install 'pix2pix[formats]'")):
                write_image(tmp_path / "new.png", made(3))


def test_damaged_deep_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "zlib.tif", made(3, height=30, width=30), compression="zlib", rowsperstrip=7)
    whole = {
        "x.png": png(tmp_path / "x.png", made(3, height=30, width=30)).read_bytes(),
        "x.tif": tiff(tmp_path / "x.tif", made(3, height=30, width=30)).read_bytes(),
        "zlib.tif": (tmp_path / "zlib.tif").read_bytes(),
    }
    for name, data in whole.items():
        for part in (60, 200, len(data) // 2, len(data) - 16):
            (tmp_path / name).write_bytes(data[:part])
            refused(tmp_path / name, "remove it or replace it", header=False)
    (tmp_path / "x.png").write_bytes(whole["x.png"][:200] + b"\0" + whole["x.png"][201:])
    refused(tmp_path / "x.png", "the checksum of its pixels is wrong", header=False)
    path = tmp_path / "x.tif"
    path.write_bytes(whole["zlib.tif"])
    with tifffile.TiffFile(path) as file:
        lengths = file.pages[0].tags[279]
        kind, at = {3: "<H", 4: "<I"}[int(lengths.dtype)], lengths.valueoffset
    data = bytearray(whole["zlib.tif"])
    struct.pack_into(kind, data, at + struct.calcsize(kind), 0)  # the second strip
    path.write_bytes(data)
    refused(path, "4 of 5 strips or tiles are there", header=False)
