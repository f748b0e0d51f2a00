"""A plain implementation of the paper's recipe, as widely used programs have it: the baseline of every measurement.

Nested U-Net blocks, a sequential PatchGAN, label tensors, unfused Adam, and a separate pass for each term. Parameters
have the same order as in `pix2pix.models`, so `PlainTrainer.load` copies the weights of our networks.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class _UNetBlock(nn.Module):
    """One level: downsampling, the levels within, upsampling; all but the outermost return [input, output]."""

    def __init__(self, outer: int, inner: int, within: nn.Module | None, dropout: bool, channels: int | None = None):
        super().__init__()
        self.outermost = channels is not None
        down = nn.Conv2d(channels or outer, inner, 4, 2, 1, bias=False)
        layers: list[nn.Module] = [down] if self.outermost else [nn.LeakyReLU(0.2, True), down]
        if within is not None:
            layers += [within] if self.outermost else [nn.BatchNorm2d(inner), within]
        wide = inner if within is None else 2 * inner
        layers += [nn.ReLU(True), nn.ConvTranspose2d(wide, outer, 4, 2, 1, bias=self.outermost)]
        layers += [nn.Tanh()] if self.outermost else [nn.BatchNorm2d(outer)]
        self.model = nn.Sequential(*layers, *([nn.Dropout(0.5)] if dropout else []))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y if self.outermost else torch.cat([x, y], 1)


def plain_unet(depth: int = 8, base_channels: int = 64, in_channels: int = 3, out_channels: int = 3) -> nn.Module:
    """Return the paper's U-Net of `depth` levels; dropout is on the levels 5 to depth - 1 of the decoder."""
    width = {i: base_channels * min(2 ** (i - 1), 8) for i in range(1, depth + 1)}
    block = None
    for level in range(depth, 1, -1):
        block = _UNetBlock(width[level - 1], width[level], block, dropout=5 <= level < depth)
    return _UNetBlock(out_channels, width[1], block, dropout=False, channels=in_channels)


def plain_patchgan(in_channels: int = 6, base_channels: int = 64, n_layers: int = 3) -> nn.Module:
    """Return the paper's PatchGAN of the stacked condition and image; with 3 layers its patches have 70 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(in_channels, base_channels, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    wide = base_channels
    for i in range(1, n_layers + 1):
        channels, stride = base_channels * min(2**i, 8), 2 if i < n_layers else 1
        layers += [nn.Conv2d(wide, channels, 4, stride, 1, bias=False), nn.BatchNorm2d(channels)]
        layers.append(nn.LeakyReLU(0.2, True))
        wide = channels
    return nn.Sequential(*layers, nn.Conv2d(wide, 1, 4, 1, 1))


class PlainTrainer:
    """Trains a U-Net against a PatchGAN with the paper's settings (Isola et al. 2017, section 3.3).

    `train_step(x, y)` returns the losses under the names of `Trainer.train_step`.
    """

    def __init__(
        self, depth: int = 8, base_channels: int = 64, n_layers: int = 3, device: torch.device | str = "cpu"
    ) -> None:
        self.generator = plain_unet(depth, base_channels).to(device)
        self.discriminator = plain_patchgan(6, base_channels, n_layers).to(device)
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.adversarial, self.l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()
        self.real, self.fake = torch.tensor(1.0, device=device), torch.tensor(0.0, device=device)

    def load(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Copy the parameters of networks of `pix2pix.models`."""
        for plain, ours in ((self.generator, generator), (self.discriminator, discriminator)):
            _copy(plain.parameters(), ours.parameters())

    def train_step(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Update the discriminator, then the generator, on [B, 3, H, W] in [-1, 1]."""
        fake = self.generator(x)
        self._set_requires_grad(True)
        self.d_optimizer.zero_grad()
        fake_logits = self.discriminator(torch.cat([x, fake], 1).detach())
        fake_loss = self.adversarial(fake_logits, self.fake.expand_as(fake_logits))
        real_logits = self.discriminator(torch.cat([x, y], 1))
        real_loss = self.adversarial(real_logits, self.real.expand_as(real_logits))
        d_loss = (fake_loss + real_loss) * 0.5
        d_loss.backward()
        self.d_optimizer.step()
        self._set_requires_grad(False)
        self.g_optimizer.zero_grad()
        logits = self.discriminator(torch.cat([x, fake], 1))
        gan = self.adversarial(logits, self.real.expand_as(logits))
        l1 = self.l1(fake, y)
        g_loss = gan + l1 * 100
        g_loss.backward()
        self.g_optimizer.step()
        losses = {
            "d/real": real_loss,
            "d/fake": fake_loss,
            "d/loss": d_loss,
            "g/gan": gan,
            "g/l1": l1,
            "g/loss": g_loss,
        }
        return {name: loss.detach() for name, loss in losses.items()}

    def _set_requires_grad(self, learning: bool) -> None:
        for parameter in self.discriminator.parameters():
            parameter.requires_grad = learning


@torch.no_grad()
def _copy(targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)
