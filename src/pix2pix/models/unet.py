"""The U-Net generator (Isola et al. 2017, section 3.2.1 and appendix 6.1.1)."""

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pix.models.convolution import Conv2d
from pix2pix.models.layers import NORMS, ConvNorm, needs_bias, up_convolution


class UNet(nn.Module):
    """Encoder-decoder of `depth` levels with a skip connection at each; images in [-1, 1] to images in [-1, 1].

    Levels count from 1 at the image side; `depth` is the innermost. Input [B, in_channels, H, W] with H and W
    multiples of 2^depth; output [B, out_channels, H, W]. Level i has base_channels x min(2^(i-1), 8) channels.

    `skip`: what the skip connections carry. `before-activation`: the normalised map, to which the decoder applies its
    activation (the paper's network); `after-activation`: the map after the encoder's activation (the tutorial's).
    `down_slope`, `up_slope`: negative slopes of the LeakyReLUs, 0 being a ReLU. Dropout of probability `dropout`
    follows the levels in `dropout_down` and `dropout_up`; `auto` is 5..depth-1, the reference program's. `bias`: of the
    normalised convolutions, `auto` as `layers.needs_bias` says; the last always has one. Maps are concatenated as
    [skip, up].
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        depth: int = 8,
        base_channels: int = 64,
        norm: str = "batch",
        skip: str = "before-activation",
        down_slope: float = 0.2,
        up_slope: float = 0.0,
        dropout: float = 0.5,
        dropout_down: Collection[int] = (),
        dropout_up: Collection[int] | str = "auto",
        upsample: str = "transpose",
        bias: bool | str = "auto",
    ):
        super().__init__()
        dropout_up = range(5, depth) if dropout_up == "auto" else dropout_up
        self.multiple = 2**depth
        self.min_size = self.multiple
        self.skip, self.down_slope, self.up_slope = skip, down_slope, up_slope
        self.dropout, self.dropout_down, self.dropout_up = dropout, frozenset(dropout_down), frozenset(dropout_up)
        bias = needs_bias(norm, bias)
        channels = {i: base_channels * min(2 ** (i - 1), 8) for i in range(1, depth + 1)} | {0: in_channels}
        self.down, self.up = nn.ModuleDict(), nn.ModuleDict()  # keyed by level, as weights are named
        for i in range(1, depth + 1):
            normed = 1 < i < depth  # not the first, as in the paper; the innermost may be a single pixel
            self.down[str(i)] = ConvNorm(
                Conv2d(channels[i - 1], channels[i], 4, stride=2, padding=1, bias=bias),
                NORMS[norm](channels[i]) if normed else nn.Identity(),
            )
        for i in range(depth, 0, -1):
            wide = channels[i] if i == depth else 2 * channels[i]  # all but the innermost also get a skip
            self.up[str(i)] = ConvNorm(
                up_convolution(wide, channels[i - 1] if i > 1 else out_channels, upsample, bias if i > 1 else True),
                NORMS[norm](channels[i - 1]) if i > 1 else nn.Identity(),
            )

    def forward(self, x: Tensor) -> Tensor:
        # A ReLU of a leaky ReLU is the ReLU alone, so the paper's skip can be activated once, with the decoder's map.
        twice = self.skip == "before-activation" and self.up_slope == 0 and self.down_slope > 0
        skips = []
        for i, level in self.down.items():
            # Dropout and a leaky ReLU commute, so one dropout serves both the skip and the next level.
            before = self._dropout(level(x), int(i) in self.dropout_down)  # [B, c_i, H / 2^i, W / 2^i]
            if twice or self.skip == "after-activation":
                x = F.leaky_relu(before, self.down_slope, inplace=True)
                skips.append(x)
            else:
                x = F.leaky_relu(before, self.down_slope)
                skips.append(F.leaky_relu(before, self.up_slope))
        x = skips.pop()
        x = F.relu(x) if twice else x
        for i, level in self.up.items():
            x = level(x)  # [B, c_(i-1), H / 2^(i-1), W / 2^(i-1)]
            if skips:
                x = x if twice else F.leaky_relu(x, self.up_slope, inplace=True)
                x = self._dropout(x, int(i) in self.dropout_up)
                x = torch.cat([skips.pop(), x], 1)  # [B, 2 c_(i-1), H / 2^(i-1), W / 2^(i-1)]
                x = F.relu(x, inplace=True) if twice else x
        return torch.tanh(x)

    def _dropout(self, x: Tensor, active: bool) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if active else x
