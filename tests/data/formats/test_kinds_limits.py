"""What each kind of image can hold, what is refused, and how kinds move under augmentation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from kind_files import PALETTE, RNG, SIDE, deep, ids, ramp, write_imagecodecs_png, write_npy
from making import EVERYTHING, noise, save
from PIL import Image

from pix2pix.config import DataConfig
from pix2pix.data import PairedDataset
from pix2pix.data.augment.apply import prepare, to_float, to_pixels
from pix2pix.data.dataset import open_split
from pix2pix.data.formats.convert import decode
from pix2pix.data.formats.image_format import ImageFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.infer import infer_formats
from pix2pix.data.loader import PairLoader
from pix2pix.errors import DataError

SEVEN, FIVE = np.full((8, 8), 7, np.uint8), np.full((8, 8), 5000, np.uint16)
GREY, RGB, RGBA = noise(8, 8)[..., :1], noise(8, 8, 1), np.dstack([noise(8, 8, 2), noise(8, 8)[..., 0]])


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
        (write_npy if suffix == ".npy" else write_imagecodecs_png)(path, pixels)
    return root


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
                write_npy(path, change(pixels) if name != "f" else change(pixels).astype(np.float32))
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
        write_npy(tmp_path / f"train/height/{index}.npy", label[..., None] * np.float32(100))
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
