"""Pictures of any size and shape: native crops, windows that go on by reflection, rectangles from end to end."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import contents, pix2pix, refused, size
from hypothesis import given, settings
from hypothesis import strategies as st
from making import EVERYTHING, noise, save_halves
from PIL import Image
from runs import after

from pix2pix import Trainer, load_generator
from pix2pix.config import AugmentConfig, DataConfig, config_from_dict
from pix2pix.data.augment.apply import to_float
from pix2pix.data.augment.geometry import center_crop, reflected
from pix2pix.data.augment.params import sample_augment_params
from pix2pix.data.dataset import open_eval_split, open_split
from pix2pix.data.images.decoded import resize
from pix2pix.data.loader import PairLoader
from pix2pix.errors import ConfigError

SIZES = [(20, 50), (40, 33), (70, 64), (5, 3), (32, 32)]


@pytest.fixture
def root(tmp_path) -> Path:
    """Pairs side by side, each of another size, smaller than the crop and larger."""
    for split in ("train", "val"):
        for i, (height, width) in enumerate(SIZES):
            seed = i + 10 * (split == "val")
            a, b = noise(height, width, seed), noise(height, width, 50 + seed)
            save_halves(tmp_path / "odd" / split / f"{i}.png", a, b)
    return tmp_path / "odd"


def config(output: Path, data: dict, **sections):
    """A run of seconds."""
    base = {
        "data": {"batch_size": 2} | data,
        "model": {"generator": {"base_channels": 2}, "discriminator": {"base_channels": 2, "n_layers": 2}},
        "schedule": {"epochs": 2},
        "run": {"output": str(output), "log_every_steps": 1, "device": "cpu"},
    }
    return config_from_dict(base | sections, "test")


# --- windows ---


@given(st.integers(1, 12), st.integers(-40, 40), st.integers(1, 60))
def test_what_lies_beyond_is_numpys_reflection(side, start, count):
    line = np.arange(side)
    far = np.pad(line, 200, "reflect" if side > 1 else "edge")
    assert np.array_equal(line[reflected(start, count, side)], far[200 + start : 200 + start + count])


@pytest.mark.parametrize(("have", "want"), [((9, 8), (5, 4)), ((8, 9), (5, 5)), ((3, 20), (16, 16)), ((6, 6), (6, 6))])
def test_a_central_crop_is_the_middle(have, want):
    picture = noise(*have)
    padded = np.pad(picture, ((20, 20), (20, 20), (0, 0)), "reflect")
    top, left = ((h - w) // 2 + 20 for h, w in zip(have, want, strict=True))
    got = center_crop(picture, want)
    assert np.array_equal(got, padded[top : top + want[0], left : left + want[1]])


@settings(max_examples=200)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(0, 2**40), st.integers(0, 99))
def test_a_crop_holds_the_whole_picture_where_that_is_smaller(load, seed, index):
    it = sample_augment_params(seed, 0, index, load, (32, 24), True)
    for start, have, want in zip((it.top, it.left), load, (32, 24), strict=True):
        assert min(0, have - want) <= start <= max(0, have - want)


# --- native ---


@pytest.mark.parametrize("cache", ["memory", "disk", "off"])
def test_native_crops_are_cut_from_the_pictures_as_they_are(root, cache):
    data = open_split(DataConfig(layout="side-by-side", root=str(root), cache=cache), "train", None).prepare()
    assert data.load_size is None and (data.cache_state.where == "memory") == (cache == "memory")
    assert data.nbytes == 6 * sum(height * width for height, width in SIZES)
    seen = set()
    for epoch in range(6):
        for batch in PairLoader(data, (32, 32), 2, seed=3).epoch(epoch):
            for at, index in enumerate(batch["index"].tolist()):
                it = sample_augment_params(3, epoch, index, SIZES[index], (32, 32), False)
                seen.add((index, it.top, it.left))
                for key, seed in (("input", index), ("target", 50 + index)):
                    far = np.pad(noise(*SIZES[index], seed), ((99, 99), (99, 99), (0, 0)), "reflect")
                    want = far[99 + it.top : 131 + it.top, 99 + it.left : 131 + it.left]
                    assert np.array_equal(batch[key][at].permute(1, 2, 0), want)
    assert len(seen) > 20  # of 25: only the last picture has no other place


def test_native_pictures_are_judged_by_their_middle(root):
    native = DataConfig(layout="side-by-side", root=str(root), image_size=32, load_size="native")
    data = open_eval_split(native, "val").prepare()
    assert data.cache_state.where == "memory" and data.nbytes == 5 * 6 * 32 * 32
    for i, shape in enumerate(SIZES):
        assert np.array_equal(data[i]["input"].permute(1, 2, 0), center_crop(noise(*shape, 10 + i), (32, 32)))
    resized = open_eval_split(native.model_copy(update={"load_size": 40}), "val")
    want = Image.fromarray(noise(*SIZES[0], 10)).resize((32, 32), Image.Resampling.BICUBIC)
    assert np.array_equal(resized[0]["input"].permute(1, 2, 0), want)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_native_run_trains_validates_stops_and_samples(root, tmp_path, log):
    data = {"root": str(root), "layout": "side-by-side", "image_size": 32, "load_size": "native", "flip": True}
    data["augment"] = EVERYTHING.model_dump()
    whole = Trainer(config(tmp_path / "whole", data))
    assert whole.fit() is True and np.isfinite(whole.state.best)
    for i, shape in enumerate(SIZES):
        middle = open_eval_split(whole.config.data, "val")[i]["input"].permute(1, 2, 0)
        assert np.array_equal(middle, center_crop(noise(*shape, 10 + i), (32, 32)))
    plan = log()
    assert (
        "each of its own size, cropped to 32x32, flipped, flipped vertically, turned by quarters, rotated up to "
        "20 degrees, scaled by 0.8 to 1.3, brightness, contrast, saturation, hue of both changed" in plan
    )
    assert "train in memory, " in plan
    for _ in range(20):  # stopped after every step, with other workers and no cache
        pieces = Trainer(config(tmp_path / "pieces", data | {"cache": "off", "workers": 2}))
        if pieces.fit(stop=after(pieces, 1)):
            break
    first, second = whole.generator.state_dict(), pieces.generator.state_dict()
    assert whole.state.step == pieces.state.step == 6 and all(torch.equal(first[key], second[key]) for key in first)
    flags = ("--weights", tmp_path / "whole/gen.pt", "--data", root, "--split", "val", "--output", "out")
    assert pix2pix("sample", *flags).code == 0
    assert [size(f"out/val/{i}.png") for i in range(5)] == SIZES


# --- rectangles ---


def test_a_rectangle_goes_from_end_to_end(tmp_path):
    for i in range(3):
        for split in ("train", "val"):
            save_halves(tmp_path / f"wide/{split}/{i}.png", noise(45, 90, i), noise(45, 90, 9 + i))
    augment = EVERYTHING.model_copy(update={"quarter_turns": False}).model_dump()
    data = {"root": str(tmp_path / "wide"), "image_size": [32, 64], "load_size": [36, 70], "augment": augment}
    trainer = Trainer(config(tmp_path / "run", data))
    shapes = set()
    trainer.generator.register_forward_hook(lambda _, inputs, output: shapes.add((inputs[0].shape, output.shape)))
    assert trainer.fit() is True
    assert {shape[-2:] for both in shapes for shape in both} == {(32, 64)}
    assert size(tmp_path / "run/samples/epoch_0002.png") == (3 * 36 + 4 + 14, 3 * 68 + 4)
    weights = tmp_path / "run/gen.pt"
    picture = noise(45, 90, 5)
    resized = torch.from_numpy(resize(picture, (32, 64), "bicubic").copy()).permute(2, 0, 1)
    with torch.inference_mode():
        want = load_generator(weights).generator(to_float(resized[None]))
    Image.fromarray(picture).save("one.png")
    assert pix2pix("sample", "--weights", weights, "--input", "one.png", "--output", "out", "--resize").code == 0
    got = np.asarray(Image.open("out/one.png"))
    assert got.shape == (32, 64, 3)
    assert np.abs(got - ((want[0].permute(1, 2, 0).numpy() + 1) * 127.5)).max() < 0.51
    assert load_generator(weights)(Image.fromarray(picture)).size == (90, 45)
    assert contents(Path("out")).keys() == {"one.png"}


def test_quarter_turns_of_a_rectangle_are_refused_at_start(tmp_path):
    turns = {"root": "x", "image_size": [32, 64], "augment": {"quarter_turns": True}}
    with pytest.raises(ConfigError, match=r"quarter_turns .*\[32, 64\].*make image_size square"):
        config(tmp_path, turns)
    with pytest.raises(ConfigError, match=r"augment.scale goes from 1.2 down to 0.9; write it as \[0.9, 1.2\]"):
        config(tmp_path, {"root": "x", "image_size": 32, "augment": {"scale": [1.2, 0.9]}})
    flags = ("--set", "data.image_size=[32, 64]", "--set", "data.load_size=null")
    result = pix2pix("train", "--config", "demo", *flags, "--set", "data.augment.quarter_turns=true")
    refused(result, 2, "data.augment.quarter_turns")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rotation", 46, "a number from 0 to 45"), ("rotation", "5", "a number"),
        ("scale", [0.4, 1], "a list of 2"), ("scale", 1.1, "a list of 2"),
        ("hue", 0.6, "from 0 to 0.5"), ("brightness", 1.1, "from 0 to 1"),
        ("flip_vertical", "no", "true or false"), ("colour_on", "inputs", "did you mean 'input'"),
        ("rotate", 5, "did you mean 'rotation'"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(tmp_path, key, value, words):
    with pytest.raises(ConfigError, match=rf"data.augment.*{words}") as error:
        config(tmp_path, {"root": "x", "image_size": 32, "augment": {key: value}})
    assert key in str(error.value)
    assert AugmentConfig().warps is AugmentConfig().recolours is False


def test_native_is_a_word_and_nothing_else_is(tmp_path):
    assert DataConfig(load_size="native").load is None
    with pytest.raises(ConfigError, match=r"load_size is 'natural', but must be .*native"):
        config(tmp_path, {"root": "x", "image_size": 32, "load_size": "natural"})


# --- resizing ---


def test_shrinking_is_antialiased_for_pictures_and_takes_one_of_the_colours_for_labels():
    stripes = np.repeat(np.arange(64) % 2 * 255, 3).reshape(1, 64, 3).repeat(64, 0).astype(np.uint8)
    for interpolation in ("bicubic", "bilinear"):
        small = resize(stripes, (64, 12), interpolation).astype(int)
        assert np.abs(small[:, 2:-2] - 127.5).max() < 25  # what was half black, half white is grey
    palette = noise(1, 5)[0]
    labels = palette[np.random.default_rng(0).integers(5, size=(40, 30))]
    for shape in ((17, 11), (90, 45)):
        small = resize(labels, shape, "nearest")
        assert small.shape[:2] == shape
        assert set(map(tuple, small.reshape(-1, 3).tolist())) <= set(map(tuple, palette.tolist()))
