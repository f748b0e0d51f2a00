"""Shared parts of the networks: normalisation, up-sampling, initialisation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from pix2pix.models.convolution import ConvTranspose2d


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that can use per-image statistics at inference.

    Training at batch 1 normalises each image by its own statistics, and the paper does the same at test time (Isola et
    al. 2017, section 3.4). With `per_image`, inference does so too: it equals training at batch 1, and images in a
    batch do not affect each other. A training pass without gradients does not update the running statistics, since
    gradient accumulation repeats it with gradients.
    """

    per_image = False

    def forward(self, x: Tensor) -> Tensor:
        if self.per_image and not self.training:
            normed: Tensor = F.instance_norm(x, weight=self.weight, bias=self.bias, use_input_stats=True, eps=self.eps)
            return normed
        if self.training and not torch.is_grad_enabled():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return super().forward(x)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm2d,
    "instance": nn.InstanceNorm2d,
    "instance_affine": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "none": lambda channels: nn.Identity(),
}


def needs_bias(norm: str, bias: bool | str) -> bool:
    """Return whether a normalised convolution has a bias; `auto` follows the reference program: only with `instance`.

    An affine norm has a shift of its own. (With `instance` the bias has no effect on the output.)
    """
    return norm == "instance" if bias == "auto" else bool(bias)


class ConvNorm(nn.Module):
    """A convolution followed by a norm; the two attribute names are part of the weights' names."""

    def __init__(self, conv: nn.Module, norm: nn.Module):
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y


def up_convolution(in_channels: int, out_channels: int, upsample: str, bias: bool, kernel_size: int = 4) -> nn.Module:
    """[B, in, H, W] -> [B, out, 2 H, 2 W]: a transposed convolution (kernel 3 or 4), or a resize and a convolution.

    Resizing first avoids checkerboards (Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard Artifacts").
    """
    if upsample == "transpose":
        odd = kernel_size % 2  # an odd kernel gives 2 H - 1 without it
        return ConvTranspose2d(in_channels, out_channels, kernel_size, 2, 1, output_padding=odd, bias=bias)
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
    """Initialise a network's parameters in place, from torch's global random generator.

    `weights`: of convolutions, `normal` is N(0, gain); `kaiming` ignores `gain`. `norm_weights`:
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
    """Set whether `batch` norms are per image at inference (see `BatchNorm2d`), in place."""
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            module.per_image = per_image
    return network


@torch.no_grad()
def fold_running_norms(network: nn.Module) -> nn.Module:
    """Fold each `batch` norm with running statistics into the convolution before it, in place; return the network.

    The network is then for inference only: its results are the same up to rounding, and the norms take no time. Norms
    that are per image at inference, and networks without `ConvNorm`, are unchanged.
    """
    for unit in network.modules():
        if not isinstance(unit, ConvNorm) or not isinstance(unit.norm, BatchNorm2d) or unit.norm.per_image:
            continue
        conv, norm = unit.conv[-1] if isinstance(unit.conv, nn.Sequential) else unit.conv, unit.norm
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        assert norm.running_mean is not None and norm.running_var is not None
        statistics, affine = (norm.running_mean, norm.running_var), (norm.weight, norm.bias)
        transposed = isinstance(conv, nn.ConvTranspose2d)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, *statistics, norm.eps, *affine, transpose=transposed
        )
        unit.norm = nn.Identity()
    return network


def has_per_image_norm(network: nn.Module) -> bool:
    """Return whether the `batch` norms of a network are per image at inference."""
    return any(isinstance(module, BatchNorm2d) and module.per_image for module in network.modules())


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Update an averaged copy of a network in place: decay x average + (1 - decay) x network; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for copied, buffer in zip(average.buffers(), network.buffers(), strict=True):
        copied.copy_(buffer)


def parameter_count(network: nn.Module) -> int:
    """Return the number of parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within it, no parameter of the network gets a gradient; gradients still pass through to its input."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


@contextmanager
def inference(network: nn.Module) -> Iterator[nn.Module]:
    """Within it, the network is in the one inference mode: no gradients, no dropout, norms as `set_per_image_norm`."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield network
    finally:
        for module, training in modes:
            module.training = training
