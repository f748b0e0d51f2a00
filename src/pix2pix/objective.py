"""The discriminator's and the generator's objective (Isola et al. 2017, equations 1, 3 and 4).

Any object with the two methods of `ObjectivePair` can serve as an objective; `ConditionalGAN` is the paper's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from pix2pix import losses

Discriminator = Callable[[Tensor, Tensor], Tensor]  # (condition, image) -> logits [B, 1, h, w]


@dataclass(frozen=True)
class Objective:
    """The value of an objective: `loss`, the scalar to minimise, and `terms`, further scalars to log, by name."""

    loss: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)

    def named(self, player: str) -> dict[str, Tensor]:
        """Return the scalars to log, by name: the loss as `<player>/loss`, and the terms."""
        return {f"{player}/loss": self.loss, **self.terms}


class ObjectivePair(Protocol):
    """The two objectives of adversarial training; `x`, `y` and `fake` are [B, C, H, W] in [-1, 1]."""

    def discriminator(self, discriminator: Discriminator, x: Tensor, y: Tensor, fake: Tensor) -> Objective:
        """Return the discriminator's objective; `fake` is detached."""
        ...

    def generator(self, discriminator: Discriminator, x: Tensor, y: Tensor, fake: Tensor) -> Objective:
        """Return the generator's objective; gradients flow through `fake`."""
        ...


@dataclass(frozen=True)
class ConditionalGAN:
    """The conditional GAN objective plus L1, the paper's equation 4.

    `adversarial` names a loss in `losses.ADVERSARIAL`. `generator_condition` is the discriminator's condition in
    the generator's update: `input`, as in the paper, or `target`, as in the tutorial's published code.
    """

    adversarial: str = "bce"
    lambda_gan: float = 1.0
    lambda_l1: float = 100.0
    generator_condition: str = "input"

    def discriminator(self, discriminator: Discriminator, x: Tensor, y: Tensor, fake: Tensor) -> Objective:
        """Equation 1: real pairs towards 1, fake pairs towards 0. The sum is halved (section 3.3).

        The real and the fake pass stay separate: one pass over both would mix their batch-norm statistics.
        """
        adversarial = losses.ADVERSARIAL[self.adversarial]
        real_loss = adversarial(discriminator(x, y), True)
        fake_loss = adversarial(discriminator(x, fake), False)
        return Objective((real_loss + fake_loss) / 2, {"d/real": real_loss, "d/fake": fake_loss})

    def generator(self, discriminator: Discriminator, x: Tensor, y: Tensor, fake: Tensor) -> Objective:
        """Equation 4: the adversarial loss of fakes towards real (section 3.3), plus lambda times L1 (equation 3)."""
        condition = x if self.generator_condition == "input" else y
        gan = losses.generator_adversarial(discriminator(condition, fake), self.adversarial)
        l1 = losses.l1(fake, y)
        return Objective(self.lambda_gan * gan + self.lambda_l1 * l1, {"g/gan": gan, "g/l1": l1})
