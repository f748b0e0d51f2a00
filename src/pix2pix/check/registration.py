"""Whether the two pictures of a pair lie on each other: the offset that correlates their edges best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

SIDE = 96  # of the reduced grey copies
SMALLEST = 48  # pixels a side that edges can be told in
_REACH = SIDE * 3 // 16  # offsets beyond this are not looked for
_NEAR = np.arange(-_REACH, _REACH + 1)
_CLEAR = 6.5  # standard deviations above the mean that a peak must have
_LEAD = 2.5  # and above what there is at no offset
_ENOUGH = 0.16  # of a picture must be edges: the few of a mask with one window in it may fit any of them
_AWAY = 2.5  # cells of SIDE: 7 pixels of 256
_AGREE = 1.5  # cells around the median within which offsets are one
_FEWEST = 5


class Offset(NamedTuple):
    """By how much the target must be moved to lie on the input, in parts of height and width; and how clear that is.

    `peak`: the peak's height in standard deviations; `lead`: what of it is above no offset at all; `edges`: what share
    of the picture with fewer edges they are.
    """

    down: float
    right: float
    peak: float
    lead: float
    edges: float

    @property
    def is_clear(self) -> bool:
        return self.peak >= _CLEAR and self.edges >= _ENOUGH

    @property
    def is_wrong(self) -> bool:
        return self.is_clear and self.lead >= _LEAD and _is_away(self.down, self.right)


def _is_away(down: float, right: float) -> bool:
    return np.hypot(down, right) * SIDE >= _AWAY


def edges(greys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The spectra, complex64 [n, SIDE, SIDE], of grey copies' edges, and the share of each copy, [n], that edges are.

    `greys`: float32 [n, SIDE, SIDE]. An edge is its strength and twice its angle, which makes light on dark and dark
    on light the same (A. Fitch, A. Kadyrov, W. Christmas, J. Kittler, Orientation Correlation, BMVC 2002): strength
    alone is led astray by rows of windows.
    """
    across, down = np.zeros((2, *greys.shape), np.float32)
    across[:, :, 1:-1] = greys[:, :, 2:] - greys[:, :, :-2]
    down[:, 1:-1] = greys[:, 2:] - greys[:, :-2]
    strength = np.sqrt(across * across + down * down)
    root = np.sqrt(strength)  # so that a few hard edges do not decide alone
    weight = 1 / (strength * root + 1e-3)
    field = np.empty(greys.shape, np.complex64)
    field.real, field.imag = (across * across - down * down) * weight, 2 * across * down * weight
    field -= field.mean((1, 2), keepdims=True)
    spectra = torch.fft.fft2(torch.from_numpy(field)).numpy()  # in single precision: several times as fast as numpy's
    # The participation ratio: 1 where all places are as strong, 1 / n where one is all there is.
    return spectra, root.mean((1, 2)) ** 2 / (strength.mean((1, 2)) + 1e-6)


def offsets(inputs: np.ndarray, targets: np.ndarray, shares: np.ndarray) -> list[Offset]:
    """Of pairs of pictures by their spectra, [n, SIDE, SIDE] each: the peaks of their phase correlations.

    `shares`: the smaller share of edges in each pair, [n].

    C. Kuglin, D. Hines, The Phase Correlation Image Alignment Method, 1975; half-whitened here: pictures of different
    kinds share few frequencies, and the others are noise.
    """
    cross = inputs * targets.conj()
    strength = np.sqrt(cross.real * cross.real + cross.imag * cross.imag)
    surfaces = torch.fft.ifft2(torch.from_numpy(cross / (np.sqrt(strength) + 1e-6))).real.numpy()
    near = surfaces[:, _NEAR[:, None], _NEAR]
    return [_peak(surface, float(share)) for surface, share in zip(near, shares, strict=True)]


def _peak(surface: np.ndarray, share: float) -> Offset:
    """The highest place of a correlation surface that has no offset in its middle."""
    row, column = divmod(int(surface.argmax()), surface.shape[1])
    top, spread = surface[row, column], max(float(surface.std()), 1e-9)
    still = surface[_REACH - 1 : _REACH + 2, _REACH - 1 : _REACH + 2].max()
    return Offset(
        (row - _REACH) / SIDE,
        (column - _REACH) / SIDE,
        float(top - surface.mean()) / spread,
        float(top - still) / spread,
        share,
    )


def common_offset(offsets: Sequence[Offset]) -> tuple[float, float] | None:
    """(down, right) by which most of a data set is off, in parts of height and width; None where it is not."""
    clear = np.array([(one.down, one.right) for one in offsets if one.is_clear])
    if len(clear) < _FEWEST:
        return None
    middle = np.median(clear, axis=0)
    agree = (np.hypot(*(clear - middle).T) * SIDE <= _AGREE).mean()
    return tuple(middle.tolist()) if agree > 0.6 and _is_away(*middle) else None
