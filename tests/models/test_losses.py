"""Losses against values worked out by hand."""

import math

import pytest
import torch

from pix2pix import losses

LN3, LN9 = math.log(3), math.log(9)
LOGITS = torch.tensor([[[[-LN3, 0.0, LN9]]]], dtype=torch.float64)  # their sigmoids are 1/4, 1/2 and 9/10
BCE = (math.log(4) + math.log(2) + math.log(10 / 9)) / 3, (math.log(4 / 3) + math.log(2) + math.log(10)) / 3
BY_HAND = {  # (towards real, towards fake)
    "bce": BCE,
    "bce_sigmoid": BCE,
    "mse": (((LN3 + 1) ** 2 + 1 + (LN9 - 1) ** 2) / 3, (LN3**2 + LN9**2) / 3),
    "mse_sigmoid": ((9 / 16 + 1 / 4 + 1 / 100) / 3, (1 / 16 + 1 / 4 + 81 / 100) / 3),
    "hinge": ((1 + LN3 + 1 + 0) / 3, (0 + 1 + 1 + LN9) / 3),
}
GENERATOR = {name: real for name, (real, _) in BY_HAND.items()} | {"hinge": (LN3 - LN9) / 3}


def test_every_adversarial_loss_is_tested():
    assert BY_HAND.keys() == losses.ADVERSARIAL.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_adversarial(name):
    found = [losses.ADVERSARIAL[name](LOGITS, real).item() for real in (True, False)]
    assert found == pytest.approx(BY_HAND[name], rel=1e-10)


@pytest.mark.parametrize("name", GENERATOR)
def test_generator_side(name):
    assert losses.generator_adversarial(LOGITS, name).item() == pytest.approx(GENERATOR[name], rel=1e-10)


def test_l1_is_the_mean_distance():
    image, target = torch.tensor([[[[-1.0, 0.5]]]]), torch.tensor([[[[1.0, 0.0]]]])
    assert losses.l1(image, target).item() == pytest.approx((2 + 0.5) / 2)


@pytest.mark.parametrize(("name", "value"), [("bce", 1e4), ("bce_sigmoid", 100.0)])
def test_extreme_logits_stay_finite(name, value):
    assert losses.ADVERSARIAL[name](torch.full((1, 1, 2, 2), 1e4), False).item() == pytest.approx(value)
