"""Convolutions that are computed as one matrix product where that is faster: on a CPU, for small maps.

Parameters, their names and the results, up to rounding, are those of `nn.Conv2d` and `nn.ConvTranspose2d`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LARGE = 2**20  # numbers in a weight; with smaller ones, a product of several images loses more than it gains


def _as_product(network: nn.Module, x: Tensor, pixels: int, weight: Tensor) -> bool:
    """Return whether to train with one matrix product; `pixels` is the number of its columns.

    The weights of the innermost levels outweigh their maps. A convolution reorders them in memory, in three passes; a
    product reads them as they are. The limits are measured, layer by layer and with whole networks. Inference always
    convolves, so that the result of an image does not depend on the number of images in the batch.
    """
    if not network.training or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    pays = pixels == 1 or (16 <= pixels <= 64 and (len(x) == 1 or weight.numel() >= _LARGE))
    return pays and weight.is_contiguous()


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` with a square kernel, one group, no dilation and padding with zeros."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _), padding = self.kernel_size, self.stride, int(self.padding[0])
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in x.shape[2:])
        if not _as_product(self, x, len(x) * height * width, self.weight):
            return super().forward(x)
        columns = F.unfold(x, kernel, padding=padding, stride=stride)  # [B, in k k, H W]
        y = _product(self.weight.flatten(1), columns)  # [B, out, H W]
        y = y.reshape(len(x), -1, height, width)
        return y if self.bias is None else y + self.bias[:, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` with a square kernel, one group and no dilation."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or not _as_product(self, x, x.numel() // x.shape[1], self.weight):
            return super().forward(x, output_size)
        (kernel, _), (stride, _), (extra, _) = self.kernel_size, self.stride, self.output_padding
        padding = int(self.padding[0])
        size = tuple((side - 1) * stride - 2 * padding + kernel + extra for side in x.shape[2:])
        columns = _product(self.weight.flatten(1).t(), x.flatten(2))  # [B, out k k, H W]
        y = F.fold(columns, size, kernel, padding=padding, stride=stride)
        return y if self.bias is None else y + self.bias[:, None, None]


def _product(matrix: Tensor, columns: Tensor) -> Tensor:
    """Return [m, k] x [B, k, n] as [B, m, n], in one product for the whole batch."""
    if len(columns) == 1:
        return (matrix @ columns[0])[None]
    together = matrix @ columns.transpose(0, 1).flatten(1)  # [m, B n]
    return together.view(len(matrix), len(columns), -1).transpose(0, 1)
