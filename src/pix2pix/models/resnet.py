"""The ResNet generator (Johnson et al. 2016; in pix2pix programs since Zhu et al. 2017, appendix 7.2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pix.models.layers import NORMS, ConvNorm, needs_bias, up_convolution


class _ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), same shape; nothing follows the addition."""

    def __init__(self, channels: int, norm: str, dropout: float, bias: bool):
        super().__init__()

        def unit() -> ConvNorm:
            conv = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
            return ConvNorm(conv, NORMS[norm](channels))

        self.first, self.second, self.dropout = unit(), unit(), dropout

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.second(F.dropout(F.relu(self.first(x)), self.dropout, self.training))
        return x + residual


class ResNet(nn.Module):
    """Two downsampling layers, `blocks` residual blocks, two upsampling layers; images in [-1, 1] to images in [-1, 1].

    Input [B, in_channels, H, W] with H and W multiples of 4 and at least 8; output [B, out_channels, H, W].
    `dropout` acts inside each block. `upsample`: `transpose` (3x3 kernel), or `nearest` or `bilinear` and a 3x3
    convolution. `bias`: of the normalised convolutions, `auto` as `layers.needs_bias` says.
    """

    multiple = 4
    min_size = 8  # reflection in the blocks, at a quarter of the size, needs two pixels

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        blocks: int = 9,
        base_channels: int = 64,
        norm: str = "batch",
        dropout: float = 0.0,
        upsample: str = "transpose",
        bias: bool | str = "auto",
    ):
        super().__init__()
        bias, c = needs_bias(norm, bias), base_channels

        def unit(conv: nn.Module, channels: int) -> ConvNorm:
            return ConvNorm(conv, NORMS[norm](channels))

        self.stem = unit(nn.Conv2d(in_channels, c, 7, padding=3, padding_mode="reflect", bias=bias), c)
        self.down1 = unit(nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=bias), 2 * c)
        self.down2 = unit(nn.Conv2d(2 * c, 4 * c, 3, stride=2, padding=1, bias=bias), 4 * c)
        self.blocks = nn.ModuleDict({str(i): _ResidualBlock(4 * c, norm, dropout, bias) for i in range(1, blocks + 1)})
        self.up1 = unit(up_convolution(4 * c, 2 * c, upsample, bias, kernel_size=3), 2 * c)
        self.up2 = unit(up_convolution(2 * c, c, upsample, bias, kernel_size=3), c)
        self.head = nn.Conv2d(c, out_channels, 7, padding=3, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        for unit in (self.stem, self.down1, self.down2):
            x = F.relu(unit(x))
        for block in self.blocks.values():
            x = block(x)  # [B, 4 c, H / 4, W / 4]
        for unit in (self.up1, self.up2):
            x = F.relu(unit(x))
        return torch.tanh(self.head(x))
