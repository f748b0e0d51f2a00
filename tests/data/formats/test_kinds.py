"""Every kind of picture, from its file through two steps of training and an identity generator to a file again."""

from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from commands import pix2pix, refused
from identity import Identity, trained
from making import EVERYTHING, noise, save
from PIL import Image

from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data import PairedDataset
from pix2pix.data.augment.apply import prepare, to_float, to_pixels
from pix2pix.data.dataset import open_split
from pix2pix.data.formats.convert import decode
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.infer import infer_formats
from pix2pix.data.loader import PairLoader
from pix2pix.errors import DataError
from pix2pix.inference.files import translate_files
from pix2pix.inference.translator import Translator, load_generator
from pix2pix.weights import load_generator_file

SIDE = 40  # no multiple of 32: sampling pads
RNG = np.random.default_rng(5)
PALETTE = [(0, 0, 222), (0, 48, 255), (255, 240, 0), (174, 0, 0), (32, 255, 224)]


def ramp(channels: int, dtype: str, low: float, high: float) -> np.ndarray:
    """[SIDE, SIDE, C]: all the way from `low` to `high` in each channel, in another order in each."""
    values = np.linspace(low, high, SIDE * SIDE).reshape(SIDE, SIDE)
    values = values if np.dtype(dtype).kind == "f" else values.round()
    return np.stack([np.roll(values, 97 * c) for c in range(channels)], -1).astype(dtype)


def deep(channels: int, top: int = 65535, suffix: str = ".png") -> ImageFormat:
    return ImageFormat("image", channels, "uint16", (0, top), suffix=suffix)


def real(channels: int, span: tuple[float, float], suffix: str) -> ImageFormat:
    return ImageFormat("image", channels, "float32", span, suffix=suffix)


def ids(count: int, dtype: str = "uint8") -> np.ndarray:
    return (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % count).astype(dtype)


def _palette_png(path: Path, index: np.ndarray) -> None:
    image = Image.fromarray(index)
    image.putpalette(np.array(PALETTE, np.uint8).tobytes())
    save(path, image)


def _imagecodecs_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def _tifffile(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "rgb" if pixels.shape[2] == 3 else "minisblack"
    tifffile.imwrite(path, pixels, photometric=kind, planarconfig="contig")


def _npy(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, pixels)


def _pillow(path: Path, pixels: np.ndarray) -> None:
    save(path, pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _read(path: Path) -> np.ndarray:
    return np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))


def _read_pillow(path: Path) -> np.ndarray:
    pixels = np.asarray(Image.open(path))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _read_png(path: Path) -> np.ndarray:
    return imagecodecs.png_decode(path.read_bytes())


def _read_tiff(path: Path) -> np.ndarray:
    pixels = tifffile.imread(path)
    return pixels if pixels.ndim == 3 else pixels[..., None]


# kind: how its file is called, what it holds, how it is written and read back by others, its section of a config, and
# the form that must be found. The other side of the pair is of the same kind.
IMAGES = {
    "grey": (".png", ramp(1, "uint8", 0, 255), _pillow, _read_pillow, ImageFormat(channels=1)),
    "grey and alpha": (".png", ramp(2, "uint8", 0, 255), _pillow, _read_pillow, ImageFormat(channels=2, alpha=True)),
    "RGB": (".png", ramp(3, "uint8", 0, 255), _pillow, _read_pillow, ImageFormat()),
    "RGB BMP": (".bmp", ramp(3, "uint8", 0, 255), _pillow, _read_pillow, ImageFormat(suffix=".bmp")),
    "RGB TIFF": (".tif", ramp(3, "uint8", 0, 255), _pillow, _read_pillow, ImageFormat(suffix=".tif")),
    "RGBA": (".png", ramp(4, "uint8", 0, 255), _pillow, _read_pillow, ImageFormat(channels=4, alpha=True)),
    "4 bands": (".npy", ramp(4, "uint8", 0, 255), _npy, np.load, ImageFormat(channels=4, suffix=".npy")),
    "5 channels": (".npy", ramp(5, "uint8", 0, 255), _npy, np.load, ImageFormat(channels=5, suffix=".npy")),
    "5-channel TIFF": (".tif", ramp(5, "uint8", 0, 255), _tifffile, _read_tiff, ImageFormat(channels=5, suffix=".tif")),
    "16-bit grey": (".png", ramp(1, "uint16", 0, 65535), _pillow, _read_pillow, deep(1)),
    "16-bit RGB": (
        *(".png", ramp(3, "uint16", 0, 65535), _imagecodecs_png, _read_png),
        deep(3),
    ),
    "16-bit RGBA": (
        *(".png", ramp(4, "uint16", 0, 65535), _imagecodecs_png, _read_png),
        replace(deep(4), alpha=True),
    ),
    "16-bit RGB TIFF": (
        *(".tif", ramp(3, "uint16", 0, 65535), _tifffile, _read_tiff),
        deep(3, 65535, ".tif"),
    ),
    "12 bits in 16": (*(".tif", ramp(1, "uint16", 0, 4095), _pillow, _read_pillow), deep(1, 4095, ".tif")),
    "16-bit npy": (*(".npy", ramp(2, "uint16", 0, 65535), _npy, np.load), deep(2, 65535, ".npy")),
    "float TIFF": (*(".tif", ramp(1, "float32", 0, 1), _pillow, _read_pillow), real(1, (0, 1), ".tif")),
    "float npy": (*(".npy", ramp(3, "float32", -1, 1), _npy, np.load), real(3, (-1, 1), ".npy")),
    "float height": (*(".npy", ramp(1, "float32", 12, 900), _npy, np.load), real(1, (0, 950), ".npy")),
}  # fmt: skip
OTHERS = {
    "palette labels": (".png", ids(5), _palette_png, {"kind": "labels"}),
    "index labels": (".png", ids(7), lambda path, pixels: save(path, pixels), {"kind": "labels"}),
    "300 labels": (".png", ids(300, "uint16"), lambda path, pixels: save(path, pixels), {"kind": "labels"}),
    "npy labels": (".npy", ids(9, "int64"), _npy, {"kind": "labels", "classes": 12}),
    "coloured labels": (
        ".png",
        ids(5),
        lambda path, pixels: save(path, np.array(PALETTE, np.uint8)[pixels]),
        {"kind": "labels", "palette": PALETTE},
    ),
    "mask": (".png", ids(2), lambda path, pixels: save(path, pixels * np.uint8(255)), {"kind": "mask"}),
    "1-bit mask": (".png", ids(2), lambda path, pixels: save(path, Image.fromarray(pixels > 0)), {"kind": "mask"}),
    "0 and 1 mask": (".png", ids(2), lambda path, pixels: save(path, pixels), {"kind": "mask"}),
    "npy mask": (".npy", ids(2), lambda path, pixels: _npy(path, pixels > 0), {"kind": "mask"}),
}


def made(root: Path, suffix: str, pixels: np.ndarray, write, names: str = "abc") -> Path:
    """Pairs of the same picture on both sides, each rolled a little further."""
    for split in ("train", "val"):
        for number, name in enumerate(names):
            for side in ("input", "target"):
                write(root / split / side / f"{name}{suffix}", np.roll(pixels, number, axis=0))
    return root


def through_identity(root: Path, data: DataConfig, formats: PairFormat) -> list[Path]:
    """The files that an identity generator makes of the inputs of val."""
    translator = Translator(Identity(), config_from_dict({"data": data.model_dump()}, "test"), formats, "cpu")
    count, failed = translate_files(translator, str(root / "val/input"), root / "out")
    assert (count, failed) == (3, [])
    return sorted((root / "out").glob("[!.]*"))


@pytest.mark.parametrize("kind", IMAGES)
def test_images_of_every_kind(tmp_path, kind):
    suffix, pixels, write, read, fmt = IMAGES[kind]
    made(tmp_path, suffix, pixels, write)
    data = DataConfig(val_fraction=0, root=str(tmp_path))
    formats = infer_formats(data)
    assert formats == PairFormat((fmt,), fmt)
    item = open_split(data, "train", None)[1]
    for side in ("input", "target"):
        np.testing.assert_array_equal(item[side].numpy().transpose(1, 2, 0), np.roll(pixels, 1, axis=0))
    for number, path in enumerate(through_identity(tmp_path, data, formats)):
        assert path.name == f"{'abc'[number]}{suffix}"
        got = read(path)
        assert got.dtype == pixels.dtype
        if fmt.dtype == "float32":
            np.testing.assert_allclose(got, np.roll(pixels, number, axis=0), rtol=0, atol=3e-7 * np.ptp(fmt.range))
        else:
            np.testing.assert_array_equal(got, np.roll(pixels, number, axis=0))
    weights, said = trained(tmp_path, {})
    assert f"  input         {fmt}\n  target        {fmt}\n" in said
    assert load_generator_file(weights).formats == formats
    result = pix2pix("sample", "--weights", weights, "--input", tmp_path / "val/input", "--output", tmp_path / "done")
    assert result.code == 0, result.err
    sampled = read(tmp_path / f"done/b{suffix}")
    assert (sampled.shape, sampled.dtype) == (pixels.shape, pixels.dtype)
    own = load_generator(weights, "cpu").translate(np.roll(pixels, 1, axis=0))
    np.testing.assert_array_equal(sampled, own)


@pytest.mark.parametrize("kind", OTHERS)
def test_labels_and_masks_never_change(tmp_path, kind):
    suffix, pixels, write, format = OTHERS[kind]
    made(tmp_path, suffix, pixels, write)
    data = DataConfig(val_fraction=0, root=str(tmp_path), input_format=format, target_format=format)
    formats = infer_formats(data)
    classes = format.get("classes", int(pixels.max()) + 1)
    mask = format["kind"] == "mask"
    assert formats.channels == (1, 1) if mask else (classes, classes)
    item = open_split(data, "train", (SIDE * 2, SIDE))[0]  # enlarged: every row twice
    np.testing.assert_array_equal(item["input"].numpy()[0], pixels.repeat(2, axis=0))
    for number, path in enumerate(through_identity(tmp_path, data, formats)):
        got, want = (
            (np.load(path) if suffix == ".npy" else np.asarray(Image.open(path))),
            np.roll(pixels, number, axis=0),
        )
        if mask and suffix != ".npy":
            want = want * 255
        np.testing.assert_array_equal(got.reshape(want.shape), want)
        if "palette" in kind or "coloured" in kind:
            image = Image.open(path)
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.array(PALETTE, np.uint8)[want])
    settings = {f"data.{side}_format.{key}": value for side in ("input", "target") for key, value in format.items()}
    weights, said = trained(tmp_path, settings)
    assert ("mask" if mask else f"labels of {classes} classes") in said
    assert load_generator_file(weights).formats == formats
    result = pix2pix(
        "sample", "--weights", weights, "--data", tmp_path, "--split", "val", "--output", tmp_path / "done"
    )
    assert result.code == 0, result.err
    sampled = tmp_path / f"done/val/c{suffix}"
    values = np.unique(_read(sampled))
    assert set(values.tolist()) <= ({0, 255} if mask and suffix == ".png" else set(range(classes)))


def test_stacked_inputs_from_their_folders_to_the_file(tmp_path):
    """Edges (a mask) and depth (16 bits) in, RGB out."""
    depth, edges, photo = ramp(1, "uint16", 0, 65535), ids(2), noise(SIDE, SIDE)
    for split in ("train", "val"):
        for name in "abc":
            save(tmp_path / split / f"edges/{name}.png", edges * np.uint8(255))
            save(tmp_path / split / f"depth/{name}.png", depth[..., 0])
            save(tmp_path / split / f"photo/{name}.jpg", photo)
    settings = {
        "data.input": ["edges", "depth"],
        "data.target": "photo",
        "data.input_format.kind": ["mask", "image"],
    }
    weights, said = trained(tmp_path, settings)
    assert "input         mask + image, 1 channel, 16-bit, 0 to 65535" in said
    assert "input train/edges + train/depth, target train/photo" in said
    file = load_generator_file(weights)
    assert file.formats.channels == (2, 3) and file.generator.multiple == 32
    item = open_split(file.config.data, "train", None)[0]
    np.testing.assert_array_equal(item["input"].numpy()[0], edges)
    np.testing.assert_array_equal(item["input_2"].numpy()[0], depth[..., 0])
    result = pix2pix("sample", "--weights", weights, "--input", tmp_path / "val", "--output", tmp_path / "out")
    assert result.code == 0, result.err
    translator = load_generator(weights, "cpu")
    want = translator.translate(edges[..., None], depth)
    np.testing.assert_array_equal(_read_pillow(tmp_path / "out/a.png"), want)
    given = translator(Image.fromarray(edges * np.uint8(255)), depth)
    np.testing.assert_array_equal(np.asarray(given), want)
    with pytest.raises(DataError, match="takes 2 stacked inputs, and 1 were given"):
        translator(photo)
    save(tmp_path / "other/edges/a.png", np.zeros((8, 9), np.uint8))
    save(tmp_path / "other/depth/a.png", np.zeros((8, 8), np.uint16))
    refused(
        pix2pix("sample", "--weights", weights, "--input", tmp_path / "other", "--output", tmp_path / "out"),
        3, f"{tmp_path / 'other/depth/a.png'}: is 8x8 but {tmp_path / 'other/edges/a.png'} is 9x8; stacked inputs need",
    )  # fmt: skip
    (tmp_path / "val/depth/b.png").unlink()
    refused(
        pix2pix("sample", "--weights", weights, "--input", tmp_path / "val", "--output", tmp_path / "out"),
        3, str(tmp_path / "val/depth"), "has no image b",
    )  # fmt: skip
    refused(
        pix2pix("sample", "--weights", weights, "--input", tmp_path / "val/edges", "--output", tmp_path / "out"),
        3, "should hold the folders edges, depth",
    )  # fmt: skip


# What is found, and what is refused


def test_every_8_and_16_bit_value_comes_back():
    for fmt, count in (
        (ImageFormat(), 256),
        (deep(1), 65536),
        (deep(1, 4095), 4096),
    ):
        values = torch.arange(count).to(getattr(torch, fmt.dtype)).reshape(1, 1, 1, -1)
        floats = to_float(values, fmt)
        assert floats.dtype == torch.float32 and floats[..., 0] == -1 and floats[..., -1] == 1
        assert torch.equal(to_pixels(floats, fmt).to(torch.int64), values.to(torch.int64))


def _pair(root: Path, input: np.ndarray, target: np.ndarray, name: str = "a", suffix: str = ".png") -> Path:
    for side, pixels in (("input", input), ("target", target)):
        path = root / f"train/{side}/{name}{suffix}"
        (_npy if suffix == ".npy" else _imagecodecs_png)(path, pixels)
    return root


SEVEN, FIVE = np.full((8, 8), 7, np.uint8), np.full((8, 8), 5000, np.uint16)
GREY, RGB, RGBA = noise(8, 8)[..., :1], noise(8, 8, 1), np.dstack([noise(8, 8, 2), noise(8, 8)[..., 0]])


def test_lesser_files_are_promoted_where_nothing_is_lost(tmp_path):
    """Grey among RGB among RGBA: the set has four channels, and each picture its own values."""
    for name, pixels in (("a", GREY), ("b", RGB), ("c", RGBA), ("d", np.dstack([GREY, GREY]))):
        _pair(
            tmp_path,
            pixels[..., 0] if pixels.shape[2] == 1 else pixels,
            pixels[..., 0] if pixels.shape[2] == 1 else pixels,
            name,
        )
    data = PairedDataset.from_folder(tmp_path, val_fraction=0)
    assert data.formats.channels == (4, 4)
    opaque = np.full((8, 8, 1), 255, np.uint8)
    wants = [np.dstack([GREY, GREY, GREY, opaque]), np.dstack([RGB, opaque]), RGBA, np.dstack([GREY] * 4)]
    for index, want in enumerate(wants):
        np.testing.assert_array_equal(data[index]["input"].numpy().transpose(1, 2, 0), want)


@pytest.mark.parametrize(
    ("pixels", "settings", "words"),
    [
        (RGBA, {"channels": 3}, "has transparent pixels, and 3 channels are wanted here as in the others; convert it"),
        (RGB, {"channels": 1}, "has colours, and 1 channel is wanted here"),
        (RGB, {"kind": "labels"}, "which colour is which class is not known; list the colours in data.input_format"),
        (SEVEN, {"kind": "labels", "classes": 7}, "holds the id 7 at row 0, column 0, and there are 7 classes, 0 to 6"),
        (RGB, {"kind": "mask"}, "has colours, and a mask is 0 and 1, or 0 and 255; cut it at a threshold"),
        (GREY, {"kind": "mask"}, "and a mask is 0 and 1, or 0 and 255; cut it at a threshold"),
        (np.array([[0, 255], [1, 0]], np.uint8), {"kind": "mask"}, "holds 3 values from 0 to 255"),
        (FIVE, {"range": [0, 4095]}, "holds values from 5000 to 5000, and 0 to 4095 is the range here; set data"),
    ],
)  # fmt: skip
def test_what_a_form_cannot_hold_is_refused_by_name(tmp_path, pixels, settings, words):
    _pair(tmp_path, pixels, pixels)
    path = tmp_path / "train/input/a.png"
    data = DataConfig(val_fraction=0, root=str(tmp_path), input_format=settings, target_format={"kind": "image"})
    with pytest.raises(DataError) as caught:
        open_split(data, "train", None)[0]
    assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value), caught.value


def test_numbers_that_are_not_finite_and_types_that_are_no_images(tmp_path):
    good = ramp(1, "float32", 0, 1)
    bad = good.copy()
    bad[3, 4] = np.nan
    _pair(tmp_path, bad, good, suffix=".npy")
    with pytest.raises(DataError, match=r"a\.npy: holds a non-finite number at row 3, column 4"):
        infer_formats(DataConfig(val_fraction=0, root=str(tmp_path)))
    _pair(tmp_path, (good * 1000).astype(np.int32), good, suffix=".npy")
    with pytest.raises(DataError, match=r"a\.npy: has int32 pixels, and an image is of uint8, uint16 or float32"):
        infer_formats(DataConfig(val_fraction=0, root=str(tmp_path)))


def test_another_depth_than_the_others_is_refused(tmp_path):
    for name in "abc":
        _pair(tmp_path, RGB, RGB, name)
    _pair(tmp_path, RGB.astype(np.uint16) * 257, RGB, "d")
    data = PairedDataset.from_folder(tmp_path, val_fraction=0)
    with pytest.raises(DataError, match=r"input/d\.png: has uint16 pixels, and uint8 is wanted here as in the others"):
        data[3]


def test_animated_files_are_said(tmp_path):
    frames = [Image.fromarray(noise(8, 8, seed)) for seed in range(3)]
    for side in ("input", "target"):
        save(tmp_path / f"train/{side}/a.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True)
    formats = infer_formats(DataConfig(val_fraction=0, root=str(tmp_path)))
    assert formats.notes == tuple(
        f"1 of 1 sampled {side}s are animated: only their first frame is used" for side in ("input", "target")
    )


def test_colours_are_snapped_to_the_nearest_of_the_palette():
    near = (np.array(PALETTE)[ids(5)] + RNG.integers(-20, 21, (SIDE, SIDE, 3))).clip(0, 255).astype(np.uint8)
    fmt = ImageFormat("labels", 1, "uint8", (0, 1), 5, tuple(PALETTE), snap=True)
    np.testing.assert_array_equal(decode(fmt, DecodedImage(near), "x")[..., 0], ids(5))


def test_augmentation_is_the_same_whatever_the_depth(tmp_path):
    """The same pictures in 8 bits, in 16 and as floats get the same flips, turns, warps and colours."""
    eight = [noise(40, 40, seed) for seed in range(4)]
    batches = {}
    for name, change in {"8": lambda p: p, "16": lambda p: p.astype(np.uint16) * 257, "f": lambda p: p / 255}.items():
        for index, pixels in enumerate(eight):
            for side in ("input", "target"):
                path = tmp_path / name / f"train/{side}/{index}.npy"
                _npy(path, change(pixels) if name != "f" else change(pixels).astype(np.float32))
        data = PairedDataset.from_folder(tmp_path / name, val_fraction=0).prepare()
        loader = PairLoader(data, (32, 32), 4, True, seed=2, augment=EVERYTHING)
        (batch,) = loader.epoch(0)
        assert len(set(batch["flip"].tolist())) == 2  # some and not all
        x, y = prepare(batch, torch.device("cpu"), EVERYTHING, (32, 32), data.formats)
        assert torch.equal(x, y)
        batches[name] = x
    assert (batches["16"] - batches["8"]).abs().max() < 1e-5 and (batches["f"] - batches["8"]).abs().max() < 1e-5


def test_stacked_labels_and_pictures_move_alike_and_labels_only_move(tmp_path):
    for index in range(3):
        label = np.random.default_rng(index).integers(0, 6, (40, 40), np.uint8)
        save(tmp_path / f"train/map/{index}.png", label)
        _npy(tmp_path / f"train/height/{index}.npy", label[..., None] * np.float32(100))
        save(tmp_path / f"train/mask/{index}.png", (label > 2) * np.uint8(255))
    kinds = {"kind": ["labels", "image"]}
    sides = {"input": ["map", "height"], "target": "mask", "target_format": {"kind": "mask"}, "input_format": kinds}
    data = DataConfig(val_fraction=0, root=str(tmp_path), image_size=32, **sides)
    dataset = open_split(data, "train", None).prepare()
    (batch,) = PairLoader(dataset, (32, 32), 3, True, augment=EVERYTHING).epoch(0)
    x, y = prepare(batch, torch.device("cpu"), EVERYTHING, (32, 32), dataset.formats)
    assert x.shape == (3, 7, 32, 32) and y.shape == (3, 1, 32, 32)
    one_hot = x[:, :6]
    assert set(one_hot.unique().tolist()) == {-1, 1} and torch.equal(one_hot.sum(1), torch.full((3, 32, 32), -4.0))
    assert torch.equal(y[:, 0] == 1, one_hot.argmax(1) > 2)
