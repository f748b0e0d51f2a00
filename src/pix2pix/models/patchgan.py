"""Patch discriminators (Isola et al. 2017, section 3.2.2 and appendix 6.1.2); all return logits."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pix.models.convolution import Conv2d
from pix2pix.models.layers import NORMS, ConvNorm, needs_bias


class _Discriminator(nn.Module):
    """Layers over the stacked condition and image, each with a leaky ReLU, then the logits."""

    layers: nn.ModuleDict
    logits: nn.Conv2d

    def forward(self, condition: Tensor, image: Tensor) -> Tensor:
        x = torch.cat([condition, image], 1)
        for layer in self.layers.values():
            x = F.leaky_relu(layer(x), 0.2, inplace=True)
        y: Tensor = self.logits(x)
        return y


class PatchGAN(_Discriminator):
    """Classifies each overlapping patch of an image as real or fake, given a condition.

    `forward(condition, image)`: [B, condition_channels, H, W] and [B, image_channels, H, W] in [-1, 1] to logits
    [B, 1, h, w]. `n_layers` strided convolutions of base_channels x min(2^(i-1), 8) channels, then, with
    `stride1_layer`, one of stride 1, then the logits. kernel_size 4, n_layers 3 and a stride-1 layer see 70x70
    patches (30x30 logits at 256 pixels); kernel_size 3, n_layers 4 and none see 63x63 (16x16), as in the tutorial.
    """

    def __init__(
        self,
        condition_channels: int = 3,
        image_channels: int = 3,
        base_channels: int = 64,
        kernel_size: int = 4,
        n_layers: int = 3,
        stride1_layer: bool = True,
        norm: str = "batch",
        bias: bool | str = "auto",
    ):
        super().__init__()
        bias = needs_bias(norm, bias)
        self.layers, wide = nn.ModuleDict(), condition_channels + image_channels
        for i in range(1, n_layers + stride1_layer + 1):
            channels = base_channels * min(2 ** (i - 1), 8)
            stride = 2 if i <= n_layers else 1
            conv = Conv2d(wide, channels, kernel_size, stride, padding=1, bias=bias or i == 1)
            self.layers[str(i)] = ConvNorm(conv, NORMS[norm](channels) if i > 1 else nn.Identity())
            wide = channels
        self.logits = Conv2d(wide, 1, kernel_size, padding=1)


class PixelDiscriminator(_Discriminator):
    """One logit per pixel, from 1x1 convolutions (the paper's "PixelGAN", appendix 6.1.2); arguments as PatchGAN's."""

    def __init__(
        self,
        condition_channels: int = 3,
        image_channels: int = 3,
        base_channels: int = 64,
        norm: str = "batch",
        bias: bool | str = "auto",
    ):
        super().__init__()
        bias, c = needs_bias(norm, bias), base_channels
        first = ConvNorm(nn.Conv2d(condition_channels + image_channels, c, 1), nn.Identity())
        second = ConvNorm(nn.Conv2d(c, 2 * c, 1, bias=bias), NORMS[norm](2 * c))
        self.layers = nn.ModuleDict({"1": first, "2": second})
        self.logits = nn.Conv2d(2 * c, 1, 1, bias=bias)
