"""What a format makes of a file's pixels: ids never change, and only transparency is taken for it."""

from dataclasses import replace

import numpy as np
import pytest
from making import noise, save, shallow_png, tiff
from PIL import Image

from pix2pix.config import DataConfig
from pix2pix.data.dataset import open_split
from pix2pix.data.formats.convert import decode, preview
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.images.decoded import DecodedImage, decode_image
from pix2pix.data.images.files import read_image
from pix2pix.data.infer import infer_formats
from pix2pix.errors import DataError

SIDE = 40
PALETTE = [(0, 0, 222), (0, 48, 255), (255, 240, 0), (174, 0, 0), (32, 255, 224)]
RGB = noise(8, 8, 1)


def ids(count: int) -> np.ndarray:
    return (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % count).astype(np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_ids_of_few_bits_are_those_of_the_file(tmp_path, bits):
    values = ids(2**bits)
    shallow_png(tmp_path / "x.png", values, bits)
    packed = np.packbits(np.unpackbits(values[..., None], axis=2)[..., -bits:].reshape(SIDE, -1), axis=1)
    tiff(tmp_path / "x.tif", packed[..., None], t256=SIDE, t258=bits)
    fmt = ImageFormat("labels", 1, "uint8", (0, 1), 2**bits)
    for name in ("x.png", "x.tif"):
        np.testing.assert_array_equal(decode(fmt, read_image(tmp_path / name), name)[..., 0], values)
    if bits == 1:
        got = decode(fmt, decode_image(Image.fromarray(values > 0)), "x")
        np.testing.assert_array_equal(got[..., 0], values)


LABELS = ImageFormat("labels", 1, "uint8", (0, 1), 3)
GREYS = ImageFormat("labels", 1, "uint8", (0, 1), 3, ((0, 0, 0), (128, 128, 128), (255, 255, 255)), snap=True)
THREE = ids(3)[..., None]
OPAQUE = np.full_like(THREE, 255)


def test_ids_of_opaque_and_float_pictures_are_read():
    for pixels, alpha in ((np.dstack([THREE, OPAQUE]), True), (THREE.astype(np.float32), False)):
        np.testing.assert_array_equal(decode(LABELS, DecodedImage(pixels, alpha=alpha), "x"), THREE)
    assert decode(LABELS, DecodedImage(THREE.astype(np.float32)), "x").dtype == np.uint8


@pytest.mark.parametrize(
    ("fmt", "picture", "words"),
    [
        (LABELS, DecodedImage(THREE / np.float32(2)), "holds fractions, and labels are whole ids"),
        (LABELS, DecodedImage(np.dstack([THREE, THREE]), alpha=True), "has an alpha channel"),
        (LABELS, DecodedImage(np.dstack([THREE, THREE])), "has 2 channels"),
        (GREYS, DecodedImage(np.dstack([THREE] * 4), alpha=True), "has transparent pixels"),
    ],
)
def test_why_a_picture_is_no_labels(fmt, picture, words):
    with pytest.raises(DataError, match=words):
        decode(fmt, picture, "x", "data.input_format")


def test_grey_colours_of_a_palette_are_found_unless_all_are_ids():
    shades = np.array([0, 128, 255], np.uint8)[THREE]
    np.testing.assert_array_equal(decode(GREYS, DecodedImage(shades), "x"), THREE)
    np.testing.assert_array_equal(decode(GREYS, DecodedImage(THREE), "x"), THREE)
    np.testing.assert_array_equal(decode(GREYS, DecodedImage(shades // 9 * 9), "x"), THREE)
    mixed = replace(GREYS, palette=((0, 0, 0), (128, 128, 128), (255, 0, 0)))
    np.testing.assert_array_equal(decode(mixed, DecodedImage(shades * (shades < 200)), "x"), THREE * (THREE < 2))
    with pytest.raises(DataError) as caught:
        decode(mixed, DecodedImage(shades), "x", "data.input_format")
    assert caught.value.path == "x" and "data.input_format.palette" in caught.value.remedy


def test_palettes_that_give_an_id_other_colours_are_refused(tmp_path):
    for name, palette, index in (("a", PALETTE[:3], ids(3)), ("b", PALETTE, ids(5)), ("c", PALETTE[::-1], ids(5))):
        for side in ("input", "target"):
            image = Image.fromarray(index)
            image.putpalette(np.array(palette, np.uint8).tobytes())
            save(tmp_path / f"train/{side}/{name}.png", image)
    data = DataConfig(
        val_fraction=0, root=str(tmp_path), input_format={"kind": "labels"}, target_format={"kind": "labels"}
    )
    dataset = open_split(data, "train", None)
    assert dataset.formats.target.palette == tuple(PALETTE)
    np.testing.assert_array_equal(dataset[0]["target"].numpy()[0], ids(3))
    np.testing.assert_array_equal(dataset[1]["target"].numpy()[0], ids(5))
    words = r"c\.png: has the colour \[32, 255, 224\] for the id 0, and it is \[0, 0, 222\] in the others"
    with pytest.raises(DataError, match=words + r".*list the colours of the classes in data\.input_format\.palette"):
        dataset[2]
    colours = {"kind": "labels", "palette": PALETTE}
    snapped = DataConfig(val_fraction=0, root=str(tmp_path), input_format=colours, target_format=colours)
    np.testing.assert_array_equal(open_split(snapped, "train", None)[2]["input"].numpy()[0], 4 - ids(5))


def test_four_bands_are_not_taken_for_transparency():
    bands = np.zeros((4, 4, 4), np.uint8)
    bands[..., :3] = RGB[:4, :4]
    np.testing.assert_array_equal(preview(bands, ImageFormat(channels=4)), RGB[:4, :4])
    assert (preview(bands, ImageFormat(channels=4, alpha=True)) == 255).all()
    assert preview(bands[..., 2:], ImageFormat(channels=2)).shape == (4, 4, 3)
    with pytest.raises(DataError, match="has 3 channels, and 4 channels are wanted"):
        decode(ImageFormat(channels=4), DecodedImage(RGB), "x", "data.input_format")
    with pytest.raises(DataError, match="has 4 channels, and 3 channels are wanted"):
        decode(ImageFormat(), DecodedImage(bands), "x", "data.input_format")
    formats = PairFormat((ImageFormat(channels=4, alpha=True),))
    assert PairFormat.from_dict(formats.to_dict()) == formats
    old = formats.to_dict()
    del old["input"][0]["alpha"]
    assert not PairFormat.from_dict(old).input[0].alpha


@pytest.mark.parametrize(
    ("fmt", "picture", "words"),
    [
        (
            ImageFormat(channels=1),
            DecodedImage(RGB),
            "has colours, and the generator was trained on 1 channel; convert it to grey",
        ),
        (
            ImageFormat(),
            DecodedImage(np.dstack([RGB, RGB[..., :1]]), alpha=True),
            "on 3 channels; flatten it onto a colour",
        ),
        (
            ImageFormat(),
            DecodedImage(np.dstack([RGB, RGB])),
            "has 6 channels, and the generator was trained on 3 channels",
        ),
        (ImageFormat(), DecodedImage(RGB.astype(np.uint16)), "trained on uint8; rescale it to 0 to 255, as uint8"),
        (
            ImageFormat(dtype="float32", range=(0, 1)),
            DecodedImage(RGB / np.float32(99)),
            "trained on 0 to 1; rescale it",
        ),
        (LABELS, DecodedImage(RGB), "trained on labels; store ids 0 to 2 in a palette or grey image"),
        (LABELS, DecodedImage(THREE + np.uint8(9)), "trained on 3 classes, 0 to 2; renumber it"),
        (
            replace(GREYS, snap=False),
            DecodedImage(THREE, np.array([[9, 9, 9]] * 3, np.uint8)),
            "renumber its ids by",
        ),
        (ImageFormat("mask", 1), DecodedImage(THREE), "trained on masks, 0 and 1 or 0 and 255; cut it at a threshold"),
    ],
)
def test_where_the_generator_is_fixed_the_remedy_is_of_the_picture(fmt, picture, words):
    with pytest.raises(DataError) as caught:
        decode(fmt, picture, "x")
    assert words in str(caught.value) and "None" not in str(caught.value) and "data." not in str(caught.value)


def _notes(root, inputs: list[np.ndarray], **settings) -> tuple[str, ...]:
    for index, pixels in enumerate(inputs):
        save(root / f"train/input/{index}.png", pixels)
        save(root / f"train/target/{index}.png", noise(*pixels.shape[:2], index))
    return infer_formats(
        DataConfig(val_fraction=0, root=str(root), input_format=settings, target_format={"kind": "image"})
    ).notes


def test_labels_with_gaps_are_noted(tmp_path):
    gaps = np.array([0, 7, 11, 255], np.uint8)[ids(4)]
    said = "input labels: 256 classes, 4 seen: 0, 7, 11, 255; set data.input_format.classes"
    assert _notes(tmp_path, [gaps, gaps * 0], kind="labels") == (said,)
    assert _notes(tmp_path, [gaps, gaps * 0], kind="labels", classes=256) == ()
    (said,) = _notes(tmp_path, [ids(2) * np.uint8(255)] * 2, kind="labels")
    assert said.endswith("2 seen: 0, 255; set data.input_format.classes, or data.input_format.kind=mask")
    assert _notes(tmp_path, [ids(3), ids(2)], kind="labels") == ()


def test_images_of_0_and_1_are_noted(tmp_path, monkeypatch):
    said = "the sampled inputs hold only 0 and 1, which as images are black; set data.input_format.kind=mask"
    assert _notes(tmp_path, [ids(2), ids(1)], kind="image") == (said,)
    assert _notes(tmp_path, [ids(2), ids(3)], kind="image") == ()
    assert _notes(tmp_path, [ids(2), ids(2)], kind="mask") == ()
    monkeypatch.setattr("pix2pix.data.pairs.read_image", None)  # of colour, nothing is decoded
    assert _notes(tmp_path, [RGB, RGB], kind="image") == ()
