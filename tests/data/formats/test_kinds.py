"""Every kind of picture, from its file through two steps of training and an identity generator to a file again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import pix2pix, refused
from identity import Identity, trained
from kind_files import (
    PALETTE,
    SIDE,
    deep,
    ids,
    ramp,
    read_numpy,
    read_pillow,
    read_png,
    read_tiff,
    real,
    write_imagecodecs_png,
    write_npy,
    write_palette_png,
    write_pillow,
    write_tifffile,
)
from making import noise, save
from PIL import Image

from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data.dataset import open_split
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.infer import infer_formats
from pix2pix.errors import DataError
from pix2pix.inference.files import translate_files
from pix2pix.inference.translator import Translator, load_generator
from pix2pix.weights import load_generator_file

# kind: how its file is called, what it holds, how it is written and read back by others, its section of a config, and
# the form that must be found. The other side of the pair is of the same kind.
IMAGES = {
    "grey": (".png", ramp(1, "uint8", 0, 255), write_pillow, read_pillow, ImageFormat(channels=1)),
    "grey and alpha": (
        ".png", ramp(2, "uint8", 0, 255), write_pillow, read_pillow, ImageFormat(channels=2, alpha=True)
    ),
    "RGB": (".png", ramp(3, "uint8", 0, 255), write_pillow, read_pillow, ImageFormat()),
    "RGB BMP": (".bmp", ramp(3, "uint8", 0, 255), write_pillow, read_pillow, ImageFormat(suffix=".bmp")),
    "RGB TIFF": (".tif", ramp(3, "uint8", 0, 255), write_pillow, read_pillow, ImageFormat(suffix=".tif")),
    "RGBA": (".png", ramp(4, "uint8", 0, 255), write_pillow, read_pillow, ImageFormat(channels=4, alpha=True)),
    "4 bands": (".npy", ramp(4, "uint8", 0, 255), write_npy, np.load, ImageFormat(channels=4, suffix=".npy")),
    "5 channels": (".npy", ramp(5, "uint8", 0, 255), write_npy, np.load, ImageFormat(channels=5, suffix=".npy")),
    "5-channel TIFF": (
        ".tif", ramp(5, "uint8", 0, 255), write_tifffile, read_tiff, ImageFormat(channels=5, suffix=".tif")
    ),
    "16-bit grey": (".png", ramp(1, "uint16", 0, 65535), write_pillow, read_pillow, deep(1)),
    "16-bit RGB": (
        *(".png", ramp(3, "uint16", 0, 65535), write_imagecodecs_png, read_png),
        deep(3),
    ),
    "16-bit RGBA": (
        *(".png", ramp(4, "uint16", 0, 65535), write_imagecodecs_png, read_png),
        replace(deep(4), alpha=True),
    ),
    "16-bit RGB TIFF": (
        *(".tif", ramp(3, "uint16", 0, 65535), write_tifffile, read_tiff),
        deep(3, 65535, ".tif"),
    ),
    "12 bits in 16": (*(".tif", ramp(1, "uint16", 0, 4095), write_pillow, read_pillow), deep(1, 4095, ".tif")),
    "16-bit npy": (*(".npy", ramp(2, "uint16", 0, 65535), write_npy, np.load), deep(2, 65535, ".npy")),
    "float TIFF": (*(".tif", ramp(1, "float32", 0, 1), write_pillow, read_pillow), real(1, (0, 1), ".tif")),
    "float npy": (*(".npy", ramp(3, "float32", -1, 1), write_npy, np.load), real(3, (-1, 1), ".npy")),
    "float height": (*(".npy", ramp(1, "float32", 12, 900), write_npy, np.load), real(1, (0, 950), ".npy")),
}  # fmt: skip
OTHERS = {
    "palette labels": (".png", ids(5), write_palette_png, {"kind": "labels"}),
    "index labels": (".png", ids(7), lambda path, pixels: save(path, pixels), {"kind": "labels"}),
    "300 labels": (".png", ids(300, "uint16"), lambda path, pixels: save(path, pixels), {"kind": "labels"}),
    "npy labels": (".npy", ids(9, "int64"), write_npy, {"kind": "labels", "classes": 12}),
    "coloured labels": (
        ".png",
        ids(5),
        lambda path, pixels: save(path, np.array(PALETTE, np.uint8)[pixels]),
        {"kind": "labels", "palette": PALETTE},
    ),
    "mask": (".png", ids(2), lambda path, pixels: save(path, pixels * np.uint8(255)), {"kind": "mask"}),
    "1-bit mask": (".png", ids(2), lambda path, pixels: save(path, Image.fromarray(pixels > 0)), {"kind": "mask"}),
    "0 and 1 mask": (".png", ids(2), lambda path, pixels: save(path, pixels), {"kind": "mask"}),
    "npy mask": (".npy", ids(2), lambda path, pixels: write_npy(path, pixels > 0), {"kind": "mask"}),
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
    values = np.unique(read_numpy(sampled))
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
    np.testing.assert_array_equal(read_pillow(tmp_path / "out/a.png"), want)
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
