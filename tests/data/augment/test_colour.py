"""Colour changes against Pillow, torchvision and the standard library, and on whom they fall."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from making import noise
from PIL import Image, ImageEnhance
from torchvision.transforms.v2 import functional

from pix2pix.config import AugmentConfig
from pix2pix.data.augment.apply import augment_batch, prepare, to_float
from pix2pix.data.augment.colour import recolour, turn_hue
from pix2pix.data.formats.image_format import RGB, PairFormat

CPU = torch.device("cpu")
FACTORS = [0.0, 0.6, 1.0, 1.7]


def changed(picture: np.ndarray, **strengths: float) -> np.ndarray:
    """The picture uint8 [H, W, C] with its colours changed by exactly these factors (hue: a part of the circle)."""
    numbers = torch.tensor([[strengths.get(name, 1.0) for name in ("brightness", "contrast", "saturation")] + [0.0]])
    numbers[0, 3] = strengths.get("hue", 0.0)
    augment = AugmentConfig(**{name: 0.5 for name in strengths})
    images = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()
    return recolour(images, numbers, augment)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("name", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_strengths_are_pillows(name, enhance, factor):
    picture = noise(20, 30)
    want = np.asarray(enhance(Image.fromarray(picture)).enhance(factor)).astype(float)
    assert np.abs(changed(picture, **{name: factor}) - want).max() <= 1.5  # Pillow rounds its greys


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.0, 1 / 3, 0.5])
def test_hues_are_the_standard_librarys_and_torchvisions(shift):
    picture = noise(12, 12)
    picture[:2] = picture[:2, :, :1]  # greys have no hue
    picture[2:4] = picture[2:4] // 128 * 255  # ties between channels, black and white
    got = changed(picture, hue=shift)
    for pixel, new in zip(picture.reshape(-1, 3), got.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel / 255)
        assert np.abs(new - 255 * np.array(colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value))).max() < 1e-3
    images = torch.from_numpy(picture).permute(2, 0, 1) / 255
    assert np.abs(got / 255 - functional.adjust_hue(images, shift).permute(1, 2, 0).numpy()).max() < 1e-4


def test_a_third_of_the_circle_makes_red_green():
    red = torch.tensor([255.0, 0, 0])[None, :, None, None]
    green = turn_hue(red, torch.full((1, 1, 1, 1), 1 / 3))
    assert green.flatten().tolist() == pytest.approx([0, 255, 0], abs=1e-3)


def test_each_picture_of_a_batch_has_its_own_strengths_in_a_fixed_order():
    pictures = [noise(8, 9, 1), noise(8, 9, 2)]
    strengths = [{"brightness": 1.3, "contrast": 0.7, "saturation": 1.2, "hue": 0.1}, {"hue": -0.2}]
    numbers = torch.tensor([[1.3, 0.7, 1.2, 0.1], [1.0, 1.0, 1.0, -0.2]])
    augment = AugmentConfig(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.2)
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    got = recolour(images, numbers, augment).permute(0, 2, 3, 1).numpy()
    step = pictures[0]
    for name, value in strengths[0].items():  # one after the other, in the order of the config's keys
        step = changed(step, **{name: value})
    assert np.abs(got[0] - step).max() < 1e-2
    assert np.abs(got[1] - changed(pictures[1], **strengths[1])).max() < 1e-2


def test_of_other_channels_transparency_is_kept_and_greys_stay_grey():
    augment = AugmentConfig(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5)
    numbers = torch.tensor([[1.2, 0.6, 1.4, 0.3]])
    picture = torch.from_numpy(noise(6, 7)).permute(2, 0, 1)[None].float()
    colours = recolour(picture, numbers, augment)
    rgba = recolour(torch.cat([picture, picture[:, :1]], 1), numbers, augment, alpha=True)
    assert torch.equal(rgba[:, :3], colours) and torch.equal(rgba[:, 3:], picture[:, :1])
    grey = recolour(picture[:, :1], numbers, augment)
    want = (picture[:, :1] * 1.2).clamp(0, 255)
    assert torch.allclose(grey, (want.mean() + (want - want.mean()) * 0.6).clamp(0, 255), atol=1e-3)
    assert torch.allclose(recolour(picture[:, :1].expand(-1, 3, -1, -1), numbers, augment), grey, atol=1e-3)
    grey_alpha = recolour(picture[:, :2], numbers, augment, alpha=True)
    assert torch.equal(grey_alpha, torch.cat([grey, picture[:, 1:2]], 1))
    four = picture[:, [0, 1, 2, 0]]
    bands = recolour(four, torch.tensor([[0.0, 1, 1, 0]]), AugmentConfig(brightness=1.0))
    assert not bands.any()  # a fourth band that is no transparency is changed too
    assert recolour(picture.repeat(1, 2, 1, 1), numbers, augment).shape[1] == 6
    sixteen = recolour(picture * 257, numbers, augment, top=65535.0)
    assert torch.allclose(sixteen / 257, colours, atol=1e-2)


@settings(deadline=None, max_examples=50)
@given(
    *[st.sampled_from([0.0, 0.3, 1.0])] * 3,
    st.sampled_from([0.0, 0.5]),
    st.sampled_from(["both", "input", "target"]),
    st.integers(0, 1000),
)
def test_colours_change_where_asked_and_nowhere_else(brightness, contrast, saturation, hue, on, seed):
    augment = AugmentConfig(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue, colour_on=on)
    rng = np.random.default_rng(seed)
    swing = torch.tensor(rng.uniform(-1, 1, (2, 4)), dtype=torch.float32)
    strengths = torch.tensor([brightness, contrast, saturation, hue])
    images = {key: torch.from_numpy(noise(8, 16, seed).reshape(2, 3, 8, 8)) for key in ("input", "target")}
    batch = {**images, "flip": torch.tensor([False, False]), "colour": torch.tensor([1.0, 1, 1, 0]) + strengths * swing}
    x, y = prepare(batch, CPU, augment, (8, 8))
    for side, got in (("input", x), ("target", y)):
        assert got.dtype == torch.float32 and got.min() >= -1 and got.max() <= 1.0001
        untouched = torch.equal(got, to_float(images[side]))
        assert untouched == (strengths.sum() == 0 or on not in ("both", side))
        label = replace(RGB.target, kind="labels", classes=256)
        formats = PairFormat((label,), RGB.target) if side == "input" else PairFormat(target=label)
        assert torch.equal(augment_batch(batch, CPU, augment, (8, 8), formats)[side], images[side])
    assert augment_batch(batch, CPU, AugmentConfig(), (8, 8))["input"].dtype == torch.uint8
