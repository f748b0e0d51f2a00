"""Measure whether the two images of a pair are aligned: the offset that correlates their edges best."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

SIDE = 96  # pixels a side of the reduced grey copies
SMALLEST = 48  # pixels a side; edges cannot be compared in smaller images
_REACH = SIDE * 3 // 16  # the largest offset that is considered
_NEAR = np.arange(-_REACH, _REACH + 1)
_CLEAR = 6.5  # a peak must be this many standard deviations above the mean
_LEAD = 2.5  # and this many above the correlation at offset 0
_ENOUGH = 0.16  # share of an image that edges must cover, since a mask of one window matches any window
_AWAY = 2.5  # the smallest offset that is reported, in pixels of SIDE: 7 pixels of 256
_AGREE = 1.5  # offsets count as equal within this many pixels of SIDE around the median
_FEWEST = 5  # the fewest pairs from which a common offset is measured

Pixels = NDArray[Any]


class Offset(NamedTuple):
    """How far the target must be moved to be aligned with the input, as fractions of height and width.

    `peak`: height of the correlation's peak in standard deviations; `lead`: how far it exceeds the correlation at
    offset 0; `edges`: the share of the image that edges cover, the smaller of the two images' shares.
    """

    down: float
    right: float
    peak: float
    lead: float
    edges: float

    @property
    def is_clear(self) -> bool:
        """Whether the offset can be trusted."""
        return self.peak >= _CLEAR and self.edges >= _ENOUGH

    @property
    def is_wrong(self) -> bool:
        """Whether the images are clearly not aligned."""
        return self.is_clear and self.lead >= _LEAD and _is_away(self.down, self.right)


def _is_away(down: float, right: float) -> bool:
    return bool(np.hypot(down, right) * SIDE >= _AWAY)


def edge_spectra(greys: Pixels) -> tuple[Pixels, Pixels]:
    """Return the spectra of the edges of grey copies, complex64 [n, SIDE, SIDE], and the share that edges cover, [n].

    `greys`: float32 [n, SIDE, SIDE]. An edge is represented by its strength and twice its angle, so that light on dark
    equals dark on light (A. Fitch, A. Kadyrov, W. Christmas, J. Kittler, Orientation Correlation, BMVC 2002). Comparing
    strengths alone fails on rows of windows.
    """
    across, down = np.zeros((2, *greys.shape), np.float32)
    across[:, :, 1:-1] = greys[:, :, 2:] - greys[:, :, :-2]
    down[:, 1:-1] = greys[:, 2:] - greys[:, :-2]
    strength = np.sqrt(across * across + down * down)
    root = np.sqrt(strength)  # so that a few strong edges do not dominate
    weight = 1 / (strength * root + 1e-3)
    field = np.empty(greys.shape, np.complex64)
    field.real, field.imag = (across * across - down * down) * weight, 2 * across * down * weight
    field -= field.mean((1, 2), keepdims=True)
    spectra = torch.fft.fft2(torch.from_numpy(field)).numpy()  # single precision is several times as fast as numpy
    # The participation ratio: 1 where all pixels are equally strong, 1 / n where one pixel has it all.
    return spectra, root.mean((1, 2)) ** 2 / (strength.mean((1, 2)) + 1e-6)


def offsets(inputs: Pixels, targets: Pixels, shares: Pixels) -> list[Offset]:
    """Return the offset of each pair, from the spectra of inputs and targets, [n, SIDE, SIDE] each.

    `shares`: the smaller share of edges of each pair, [n]. The method is phase correlation (C. Kuglin, D. Hines, The
    Phase Correlation Image Alignment Method, 1975), only half whitened, because images of different kinds
    share few frequencies, and full whitening would amplify the noise in all others.
    """
    cross = inputs * targets.conj()
    strength = np.sqrt(cross.real * cross.real + cross.imag * cross.imag)
    surfaces = torch.fft.ifft2(torch.from_numpy(cross / (np.sqrt(strength) + 1e-6))).real.numpy()
    near = surfaces[:, _NEAR[:, None], _NEAR]
    return [_peak(surface, float(share)) for surface, share in zip(near, shares, strict=True)]


def _peak(surface: Pixels, share: float) -> Offset:
    """Find the peak of a correlation surface, whose centre is offset 0."""
    row, column = divmod(int(surface.argmax()), surface.shape[1])
    top, spread = surface[row, column], max(float(surface.std()), 1e-9)
    unmoved = surface[_REACH - 1 : _REACH + 2, _REACH - 1 : _REACH + 2].max()
    return Offset(
        (row - _REACH) / SIDE,
        (column - _REACH) / SIDE,
        float(top - surface.mean()) / spread,
        float(top - unmoved) / spread,
        share,
    )


def common_offset(offsets: Sequence[Offset]) -> tuple[float, float] | None:
    """Return (down, right) that most pairs share, as fractions of height and width; None where there is none."""
    clear = np.array([(offset.down, offset.right) for offset in offsets if offset.is_clear])
    if len(clear) < _FEWEST:
        return None
    down, right = np.median(clear, axis=0).tolist()
    agree = (np.hypot(*(clear - (down, right)).T) * SIDE <= _AGREE).mean()
    return (down, right) if agree > 0.6 and _is_away(down, right) else None
