"""The pieces that the networks share: normalisation, up-sampling, initialisation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose inference can be per image.

    A network trained at batch 1 has only ever seen each image's own statistics, which is what the paper's test time
    keeps (Isola et al. 2017, section 3.4). With `per_image`, inference normalises each image by its own mean and
    variance: equal to training at batch 1, and independent of the neighbours in the batch. A training pass without
    gradients leaves the running statistics alone: accumulation repeats it with them.
    """

    per_image = False

    def forward(self, x: Tensor) -> Tensor:
        if self.per_image and not self.training:
            return F.instance_norm(x, weight=self.weight, bias=self.bias, use_input_stats=True, eps=self.eps)
        if self.training and not torch.is_grad_enabled():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return super().forward(x)


NORMS = {
    "batch": BatchNorm2d,
    "instance": nn.InstanceNorm2d,
    "instance_affine": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "none": lambda channels: nn.Identity(),
}


def needs_bias(norm: str, bias: bool | str) -> bool:
    """Whether a normalised convolution has a bias; `auto` is the reference program's rule: only with `instance`.

    An affine norm brings a shift of its own. (With `instance` the bias has no effect on the output.)
    """
    return norm == "instance" if bias == "auto" else bool(bias)


class ConvNorm(nn.Module):
    """A convolution and the norm of its output; the two names are part of every weight's name."""

    def __init__(self, conv: nn.Module, norm: nn.Module):
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


def up_convolution(in_channels: int, out_channels: int, upsample: str, bias: bool, kernel_size: int = 4) -> nn.Module:
    """[B, in, H, W] -> [B, out, 2 H, 2 W]: a transposed convolution (kernel 3 or 4), or a resize and a convolution.

    Resizing first avoids checkerboards (Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard Artifacts").
    """
    if upsample == "transpose":
        odd = kernel_size % 2  # an odd kernel gives 2 H - 1 without it
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size, 2, 1, output_padding=odd, bias=bias)
    align = None if upsample == "nearest" else False
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode=upsample, align_corners=align),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
    )


_WEIGHTS = {
    "normal": lambda weight, gain: nn.init.normal_(weight, 0.0, gain),
    "xavier": lambda weight, gain: nn.init.xavier_normal_(weight, gain),
    "kaiming": lambda weight, gain: nn.init.kaiming_normal_(weight),
    "orthogonal": lambda weight, gain: nn.init.orthogonal_(weight, gain),
}


def init_weights(
    network: nn.Module, weights: str = "normal", gain: float = 0.02, norm_weights: str = "normal", biases: str = "zero"
) -> nn.Module:
    """Draws a network's parameters anew, in place, from torch's global generator.

    `weights`: convolutions from N(0, gain) and its named alternatives (`kaiming` has no gain). `norm_weights`:
    `normal` is N(1, gain), `ones` is 1. `biases`: `zero`, or `default` as PyTorch makes them. Source: the paper's
    appendix 6.2 ("weights were initialized from a Gaussian distribution with mean 0 and standard deviation 0.02").
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            _WEIGHTS[weights](module.weight, gain)
            if module.bias is not None and biases == "zero":
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.affine:
            if norm_weights == "normal":
                nn.init.normal_(module.weight, 1.0, gain)
            nn.init.zeros_(module.bias)
    return network


def set_per_image_norm(network: nn.Module, per_image: bool) -> nn.Module:
    """Chooses what `batch` norms do at inference (see `BatchNorm2d`), in place."""
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            module.per_image = per_image
    return network


def has_per_image_norm(network: nn.Module) -> bool:
    """Whether its `batch` norms are per image at inference."""
    return any(isinstance(module, BatchNorm2d) and module.per_image for module in network.modules())


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves an averaged copy's weights towards the network's, in place: decay x average + (1 - decay) x network."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    for mean, value in zip(average.buffers(), network.buffers(), strict=True):
        mean.copy_(value)


def parameter_count(network: nn.Module) -> int:
    """How many trainable numbers a network has."""
    return sum(parameter.numel() for parameter in network.parameters())


@contextmanager
def inference(network: nn.Module) -> Iterator[nn.Module]:
    """The one inference mode: no gradients, no dropout, norms as `set_per_image_norm` chose; the mode is put back."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield network
    finally:
        network.train(was_training)
