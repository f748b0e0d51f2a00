"""Turns, mirrors, rotation and scale move pixels as numpy and Pillow move them."""

import math

import numpy as np
import pytest
import torch
from augmented import CPU, Pictures, epoch
from hypothesis import given, settings
from hypothesis import strategies as st
from making import noise
from PIL import Image

from pix2pix.config import AugmentConfig
from pix2pix.data.augment.apply import prepare, to_float
from pix2pix.data.augment.geometry import margin, turn_and_flip, warp, warp_numbers
from pix2pix.data.augment.params import sample_augment_params
from pix2pix.data.loader import PairLoader


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("vertical", [None, False, True])
def test_turns_and_mirrors_are_numpys_to_the_bit(turns, flip, vertical):
    """Turned first, against the clock; pictures of a batch each by their own draw."""
    pictures = [noise(9, 9, 1), noise(9, 9, 2)]
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    second = None if vertical is None else torch.tensor([vertical, False])
    got = turn_and_flip(batch, torch.tensor([flip, False]), second, torch.tensor([turns, 0]))
    want = np.rot90(pictures[0], turns)
    want = want[:, ::-1] if flip else want
    want = want[::-1] if vertical else want
    assert got.dtype == torch.uint8 and np.array_equal(got[0].permute(1, 2, 0), want)
    assert np.array_equal(got[1].permute(1, 2, 0), pictures[1])


def test_through_the_loader_turns_and_mirrors_only_move_pixels():
    """Each pair by its own draw, and the values are those of the file."""
    data = Pictures(*[(noise(20, 24, i), noise(20, 24, 90 + i)) for i in range(30)])
    augment, seen = AugmentConfig(flip_vertical=True, quarter_turns=True), set()
    for index, pair in epoch(PairLoader(data, (16, 16), 7, True, 1, augment=augment), (16, 16), augment).items():
        it = sample_augment_params(1, 0, index, (20, 24), (16, 16), True, augment)
        seen.add((it.turns, it.flip, it.flip_vertical))
        for got, seed in zip(pair, (index, 90 + index), strict=True):
            want = np.rot90(noise(20, 24, seed)[it.top : it.top + 16, it.left : it.left + 16], it.turns)
            want = want[:, ::-1] if it.flip else want
            assert got.dtype == torch.uint8
            assert np.array_equal(got.permute(1, 2, 0), want[::-1] if it.flip_vertical else want)
    assert len(seen) > 10  # of 16


def test_mirrors_without_turns_do_for_rectangles():
    picture = noise(6, 9)
    batch = torch.from_numpy(picture).permute(2, 0, 1)[None]
    got = turn_and_flip(batch, torch.tensor([True]), torch.tensor([True]), None)[0]
    assert np.array_equal(got.permute(1, 2, 0), picture[::-1, ::-1])


def pillow(picture: np.ndarray, angle: float, scale: float, crop: tuple[int, int], resample) -> np.ndarray:
    """The middle of a picture [H, W, 3] that Pillow rotated (against the clock) and enlarged about its centre."""
    wide = np.pad(picture, ((40, 40), (40, 40), (0, 0)), "reflect")
    height, width = wide.shape[:2]
    cos, sin = math.cos(math.radians(angle)) / scale, math.sin(math.radians(angle)) / scale
    x, y = width / 2, height / 2
    back = (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)
    if scale == 1:  # Pillow's own idea of an angle
        moved = np.asarray(Image.fromarray(wide).rotate(angle, resample))
    else:
        moved = np.asarray(Image.fromarray(wide).transform((width, height), Image.Transform.AFFINE, back, resample))
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    return moved[top : top + crop[0], left : left + crop[1]]


@pytest.mark.parametrize(("angle", "scale"), [(10, 1), (-30, 1), (45, 1), (0, 0.6), (0, 1.7), (17, 0.8), (-8, 1.25)])
@pytest.mark.parametrize("crop", [(32, 32), (25, 25), (24, 36)])
def test_rotation_and_scale_are_pillows(angle, scale, crop):
    """With what the loader brings in from beyond the crop: here its reflection, as the picture ends there."""
    augment = AugmentConfig(rotation=float(abs(angle)), scale=(float(scale), float(scale)))
    beside = margin(augment, crop)
    picture = noise(*crop, 5)
    wide = np.pad(picture, ((beside[0],) * 2, (beside[1],) * 2, (0, 0)), "reflect")
    batch = torch.from_numpy(wide.copy()).permute(2, 0, 1)[None]
    numbers = torch.tensor([warp_numbers(angle, scale)])
    got = warp(batch, numbers, crop, "bilinear")[0].permute(1, 2, 0).numpy()
    beyond = got - pillow(picture, angle, scale, crop, Image.Resampling.BILINEAR)
    assert beyond.min() > -0.01 and beyond.max() < 1.01  # Pillow rounds down
    got = warp(batch, numbers, crop, "nearest")[0].permute(1, 2, 0).numpy()
    same = (got == pillow(picture, angle, scale, crop, Image.Resampling.NEAREST)).all(-1)
    assert same.mean() > 0.9  # a place halfway between two pixels may go to either


def test_an_unmoved_warp_is_the_picture_itself():
    picture = torch.from_numpy(noise(20, 30)).permute(2, 0, 1)[None]
    for interpolation in ("bilinear", "nearest"):
        got = warp(picture, torch.tensor([warp_numbers(0, 1)]), (20, 30), interpolation)
        assert (got.float() - picture.float()).abs().max() < 0.01


@settings(deadline=None, max_examples=200)
@given(
    st.tuples(st.integers(16, 300), st.integers(16, 300)),
    st.floats(0, 45),
    st.floats(0.5, 2),
    st.floats(-1, 1),
    st.floats(0, 1),
)
def test_the_margin_holds_every_rotation_and_scale_and_little_more(crop, rotation, low, swing, more):
    augment = AugmentConfig(rotation=rotation, scale=(low, low + (2 - low) * more))
    beside = margin(augment, crop)

    def reach(angle: float, scale: float) -> tuple[float, float]:
        cos, sin = warp_numbers(abs(angle), scale)
        down, right = (crop[0] - 1) / 2, (crop[1] - 1) / 2
        return cos * down + sin * right - down, cos * right + sin * down - right

    drawn = reach(rotation * swing, low + (2 - low) * more * abs(swing))
    assert all(beyond <= have + 1e-9 for beyond, have in zip(drawn, beside, strict=True))
    angles = np.linspace(0, rotation, 200)
    most = np.max([reach(angle, low) for angle in angles], 0)
    assert all(have < max(beyond, 0) + 1.01 for beyond, have in zip(most, beside, strict=True))


def test_the_crop_is_the_draws_whatever_the_margin():
    """Rotated by nothing, the middle of the window is the crop that the draw names, pixels around it included."""
    augment = AugmentConfig(rotation=30.0)
    picture = noise(50, 60)
    beside = margin(augment, (32, 32))
    (batch,) = PairLoader(Pictures((picture, picture)), (32, 32), seed=4, augment=augment).epoch(0)
    it = sample_augment_params(4, 0, 0, (50, 60), (32, 32), False, augment)
    padded = np.pad(picture, ((99, 99), (99, 99), (0, 0)), "reflect")
    rows = slice(99 + it.top - beside[0], 99 + it.top + 32 + beside[0])
    columns = slice(99 + it.left - beside[1], 99 + it.left + 32 + beside[1])
    assert np.array_equal(batch["input"][0].permute(1, 2, 0), padded[rows, columns])
    turned = np.asarray(Image.fromarray(padded[rows, columns]).rotate(it.angle, Image.Resampling.BILINEAR))
    want = turned[beside[0] : beside[0] + 32, beside[1] : beside[1] + 32]
    x, _ = prepare(batch, CPU, augment, (32, 32))
    assert (x[0].permute(1, 2, 0) - to_float(torch.from_numpy(want.copy()))).abs().max() <= 1.01 / 127.5
