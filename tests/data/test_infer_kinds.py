"""What files are taken for by themselves, with which reason; and that class ids are never blended."""

from pathlib import Path

import numpy as np
import pytest
import torch
from making import EVERYTHING, noise, save, smooth
from PIL import Image, ImageDraw

from pix2pix.config import AugmentConfig, DataConfig, config_from_dict
from pix2pix.data.augment.apply import prepare, to_float
from pix2pix.data.dataset import open_split
from pix2pix.data.formats.convert import preview
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.infer import infer_formats
from pix2pix.data.loader import open_loader
from pix2pix.errors import ConfigError, DataError

SIDE = 64
COLOURS = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (64, 64, 64)], np.uint8)


def regions(seed: int, ids: int = 4, block: int = 16) -> np.ndarray:
    """Return random areas of `ids` ids, uint8 [SIDE, SIDE], each id at least once."""
    rng = np.random.default_rng(seed)
    count = (SIDE // block) ** 2
    small = rng.permutation(np.arange(count) % ids).reshape(SIDE // block, -1)
    return small.repeat(block, 0).repeat(block, 1).astype(np.uint8)


def palette_image(indices: np.ndarray, colours: np.ndarray = COLOURS) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette(np.resize(colours, (256, 3)).astype(np.uint8).tobytes())
    return image


def lines(seed: int) -> np.ndarray:
    image = Image.new("L", (SIDE, SIDE), 255)
    ends = np.random.default_rng(seed).integers(0, SIDE, (6, 4)).tolist()
    for end in ends:
        ImageDraw.Draw(image).line(end, fill=0)
    return np.asarray(image)


def grey(values: list[int]):
    return lambda seed: np.array(values, np.uint8)[regions(seed, len(values), 8)]


# The files of a side, as functions of a number; the suffix; the kind as (input, target), None where training must ask.
FILES = {
    "photograph": (lambda n: noise(SIDE, SIDE, n), ".png", ("image", "image")),
    "smooth": (lambda n: smooth(SIDE, SIDE), ".png", ("image", "image")),
    "label map in JPEG": (lambda n: COLOURS[regions(n)], ".jpg", ("image", "image")),
    "edges": (lines, ".png", ("image", "mask")),
    "edges in RGB": (lambda n: np.dstack([lines(n)] * 3), ".png", ("image", "mask")),
    "mask of 0 and 255": (grey([0, 255]), ".png", ("mask", "mask")),
    "mask of 0 and 1": (grey([0, 1]), ".png", ("mask", "mask")),
    "1-bit mask": (lambda n: Image.fromarray(grey([0, 255])(n)).convert("1"), ".png", ("mask", "mask")),
    "black-and-white GIF": (
        lambda n: palette_image(regions(n, 2), np.array([(0, 0, 0), (255, 255, 255)])),
        ".gif",
        ("mask", "mask"),
    ),
    "palette": (lambda n: palette_image(regions(n)), ".png", ("labels", "labels")),
    "grey ids": (grey([0, 3, 11, 20]), ".png", ("labels", "labels")),
    "grey ids and void": (grey([0, 1, 2, 255]), ".png", ("labels", "labels")),
    "exact colours": (lambda n: COLOURS[regions(n, 6, 8)], ".png", ("labels", "labels")),
    "30 shades": (grey(list(range(0, 255, 8))[:30]), ".png", (None, None)),
    "3 shades": (grey([0, 128, 255]), ".png", (None, None)),
}


def written(root: Path, side: str, make, suffix: str = ".png", count: int = 4) -> Path:
    for number in range(count):
        picture = make(number)
        save(root / f"train/{side}/{number}{suffix}", picture)
        other = "target" if side == "input" else "input"
        save(root / f"train/{other}/{number}.png", noise(SIDE, SIDE, number))
    return root


def inferred(root: Path, **data) -> PairFormat:
    return infer_formats(DataConfig(val_fraction=0, root=str(root), **data))


@pytest.mark.parametrize("side", ["input", "target"])
@pytest.mark.parametrize("what", FILES)
def test_kinds_are_found_or_asked_for(tmp_path, what, side):
    make, suffix, kinds = FILES[what]
    written(tmp_path, side, make, suffix)
    kind = kinds[side == "target"]
    if kind is None:
        with pytest.raises(DataError) as caught:
            inferred(tmp_path)
        assert caught.value.code == "kind" and f"data.{side}_format.kind" in caught.value.remedy
        choices = ["image", "labels"]
    else:
        formats = inferred(tmp_path)
        assert formats.parts[side].kind == kind
        other = formats.parts["target" if side == "input" else "input"]
        assert other.kind == "image"
        assert kind == "image" or any(f"{side}s are {kind}" in note for note in formats.notes)
        choices = ["image"]
    for choice in choices:  # a setting is never contradicted
        assert inferred(tmp_path, **{f"{side}_format": {"kind": choice}}).parts[side].kind == choice


def test_jpeg_files_beside_label_maps_are_asked_about(tmp_path):
    written(tmp_path, "target", lambda n: palette_image(regions(n)))
    (tmp_path / "train/target/0.png").unlink()
    save(tmp_path / "train/target/0.jpg", noise(SIDE, SIDE))
    with pytest.raises(DataError) as caught:
        inferred(tmp_path)
    assert caught.value.code == "kind"


def test_void_is_ignored_and_the_format_survives_a_weights_file(tmp_path):
    formats = inferred(written(tmp_path, "target", grey([0, 1, 2, 255])))
    fmt = formats.target
    assert (fmt.classes, fmt.ignore, fmt.dtype) == (3, 255, "uint8")
    assert PairFormat.from_dict(formats.to_dict()) == PairFormat(formats.input, fmt)
    assert not {"ignore", "exact", "class_names"} & set(PairFormat().to_dict()["target"])  # older versions read it
    pixels = torch.tensor([[[[2, 255]]]], dtype=torch.uint8)
    values = to_float(pixels, fmt)[0, :, 0]
    assert values[:, 0].tolist() == [-1, -1, 1] and values[:, 1].isnan().all()
    assert preview(pixels[0, 0].numpy()[..., None], fmt)[0, 1].tolist() == [255] * 3


def test_an_id_to_ignore_is_none_of_the_classes(tmp_path):
    written(tmp_path, "target", grey([0, 1, 2, 3]))
    assert inferred(tmp_path, target_format={"ignore": 9}).target == ImageFormat(
        "labels", 1, "uint8", (0.0, 1.0), 4, ignore=9
    )
    with pytest.raises(DataError, match=r"data\.target_format\.ignore"):
        inferred(tmp_path, target_format={"ignore": 2})
    for wrong in ({"ignore": 2, "classes": 3}, {"ignore": 255, "kind": "image"}, {"ignore": 255, "range": [0, 9]}):
        with pytest.raises(ConfigError, match=r"data\.target_format\.ignore"):
            config_from_dict({"data": {"root": "x", "target_format": wrong}}, "test")


@pytest.mark.parametrize(
    ("name", "text", "names", "first"),
    [
        (
            "class_dict.csv",
            "name,r,g,b\nb,128,0,0\na,0,0,0\nc,0,128,0\nd,128,128,0\nnever,9,9,9\n",
            "bacd",
            (128, 0, 0),
        ),
        ("label_colors.txt", "128 0 0\tb\n0 0 0\ta\n0 128 0 c\n128 128 0 d\n9 9 9 never\n", "bacd", (128, 0, 0)),
        ("classes.txt", "a\nb\nc\nd\n", "abcd", (0, 0, 0)),
        ("labels.txt", "0: a\n1: b\n2: c\n3: d\n", "abcd", (0, 0, 0)),
    ],
)
def test_a_table_of_colours_and_its_names(tmp_path, name, text, names, first):
    written(tmp_path, "target", lambda n: COLOURS[regions(n)])
    (tmp_path / name).write_text(text)
    fmt = inferred(tmp_path).target
    assert fmt.exact and fmt.palette[0] == first and "".join(fmt.class_names).removesuffix("never") == names
    data = DataConfig(root=str(tmp_path), val_fraction=0)
    for item in open_split(data, "train", None):
        colours = np.array(fmt.palette, np.uint8)[item["target"][0].numpy()]
        np.testing.assert_array_equal(colours, COLOURS[regions(item["index"])])


def test_a_colour_that_is_in_no_sampled_file_is_named(tmp_path):
    written(tmp_path, "target", lambda n: COLOURS[regions(n)])
    data = DataConfig(root=str(tmp_path), val_fraction=0)
    formats = infer_formats(data)
    save(tmp_path / "train/target/3.png", np.full((SIDE, SIDE, 3), (1, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"3\.png: has the colour \[1, 2, 3\]") as caught:
        open_split(data, "train", None, formats=formats)[3]
    assert "data.target_format.palette" in caught.value.remedy


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("load_size", [48, 79, "native"])
@pytest.mark.parametrize("augment", [AugmentConfig(), EVERYTHING], ids=["plain", "augmented"])
def test_no_value_reaches_the_networks_that_is_in_no_file(tmp_path, interpolation, load_size, augment, count=9):
    """Each of 108 pairs of random label pictures holds other ids in other places."""
    rng = np.random.default_rng([load_size == 79, augment is EVERYTHING, interpolation == "bilinear"])
    chosen = rng.choice(200, 5, replace=False)
    for number in range(count):
        ids = chosen[regions(number, 5, 8)].astype(np.uint8)
        save(tmp_path / f"train/input/{number}.png", palette_image(ids, np.arange(768).reshape(256, 3) % 251))
        save(tmp_path / f"train/target/{number}.png", np.array([0, 1, 2, 255], np.uint8)[regions(number, 4)])
    data = DataConfig(
        root=str(tmp_path), val_fraction=0, image_size=32, load_size=load_size, interpolation=interpolation, flip=True,
        augment=augment, batch_size=count, workers=0, cache="off",
    )  # fmt: skip
    dataset = open_split(data, "train", data.load)
    assert [fmt.kind for fmt in dataset.formats.parts.values()] == ["labels", "labels"]
    for batch in open_loader(data, dataset, 0).epoch(0):
        x, y = prepare(batch, torch.device("cpu"), augment, data.crop, dataset.formats)
        assert set(x.unique().tolist()) == {-1, 1} and ((x == 1).sum(1) == 1).all()
        assert set(x.argmax(1).unique().tolist()) <= set(chosen.tolist())
        void = y.isnan()
        assert (void.all(1) == void.any(1)).all() and void.any()
        assert set(y[~void].unique().tolist()) == {-1, 1}
