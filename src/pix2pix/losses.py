"""Losses: pure functions of logits [B, 1, h, w] or images [B, C, H, W]; each returns a scalar, the mean.

The paper's objective is eq. 4: the conditional adversarial loss (eq. 1) plus lambda x L1 (eq. 3).
"""

from torch import Tensor
from torch.nn import functional as F


def bce(logits: Tensor, real: bool) -> Tensor:
    """Binary cross entropy of the logits against 1 (real) or 0 (Goodfellow et al. 2014; the paper's eq. 1)."""
    return F.softplus(-logits if real else logits).mean()


def bce_sigmoid(logits: Tensor, real: bool) -> Tensor:
    """Sigmoid, then binary cross entropy (log clamped at -100): `bce` as older programs compute it."""
    return F.binary_cross_entropy(logits.sigmoid(), logits.new_full((), float(real)).expand_as(logits))


def mse(logits: Tensor, real: bool) -> Tensor:
    """Mean squared difference between the logits and 1 or 0 (LSGAN, Mao et al. 2017, eq. 9)."""
    return (logits - float(real)).square().mean()


def mse_sigmoid(logits: Tensor, real: bool) -> Tensor:
    """Mean squared difference between their sigmoid and 1 or 0: the tutorial's adversarial loss."""
    return mse(logits.sigmoid(), real)


def hinge(logits: Tensor, real: bool) -> Tensor:
    """The discriminator's hinge (Lim & Ye 2017; Miyato et al. 2018, eq. 16): no loss beyond a margin of 1."""
    return F.relu(1 - logits if real else 1 + logits).mean()


ADVERSARIAL = {"bce": bce, "bce_sigmoid": bce_sigmoid, "mse": mse, "mse_sigmoid": mse_sigmoid, "hinge": hinge}


def generator_adversarial(logits: Tensor, adversarial: str) -> Tensor:
    """The generator's adversarial loss on logits of its images: towards real, or -logits for `hinge` (eq. 17 there)."""
    return -logits.mean() if adversarial == "hinge" else ADVERSARIAL[adversarial](logits, True)


def l1(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, in the images' units ([-1, 1] in training) (the paper's eq. 3)."""
    return (image - target).abs().mean()
