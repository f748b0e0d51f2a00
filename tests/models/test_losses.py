"""Losses against values worked out by hand."""

import math

import pytest
import torch

from pix2pix import losses

LOGITS = torch.tensor([[[[-2.0, 0.0], [0.5, 3.0]]]], dtype=torch.float64)


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


BY_HAND = {
    "bce": lambda v, real: -math.log(sigmoid(v) if real else 1 - sigmoid(v)),
    "bce_sigmoid": lambda v, real: -math.log(sigmoid(v) if real else 1 - sigmoid(v)),
    "mse": lambda v, real: (v - real) ** 2,
    "mse_sigmoid": lambda v, real: (sigmoid(v) - real) ** 2,
    "hinge": lambda v, real: max(0.0, 1 - v) if real else max(0.0, 1 + v),
}


def test_every_adversarial_loss_is_tested():
    assert BY_HAND.keys() == losses.ADVERSARIAL.keys()


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("real", [True, False])
def test_adversarial(name, real):
    expected = sum(BY_HAND[name](v, real) for v in LOGITS.flatten().tolist()) / 4
    assert losses.ADVERSARIAL[name](LOGITS, real).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", BY_HAND)
def test_generator_side(name):
    expected = -LOGITS.mean() if name == "hinge" else losses.ADVERSARIAL[name](LOGITS, True)
    assert losses.generator_adversarial(LOGITS, name).item() == expected.item()


def test_l1_is_the_mean_distance():
    image, target = torch.tensor([[[[-1.0, 0.5]]]]), torch.tensor([[[[1.0, 0.0]]]])
    assert losses.l1(image, target).item() == pytest.approx((2 + 0.5) / 2)


@pytest.mark.parametrize(("name", "value"), [("bce", 1e4), ("bce_sigmoid", 100.0)])
def test_extreme_logits_stay_finite(name, value):
    assert losses.ADVERSARIAL[name](torch.full((1, 1, 2, 2), 1e4), False).item() == pytest.approx(value)
