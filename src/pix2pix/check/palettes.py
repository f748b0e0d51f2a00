"""Recognize label maps by the colours of the published data sets."""

from collections.abc import Sequence

import numpy as np

from pix2pix.check.cross_pair import few_colours
from pix2pix.check.stats import ROUGH, ImageStats, Pixels
from pix2pix.datasets.catalogue import known_palettes

_NEAR = 8  # the largest change of a channel by JPEG beyond the rounding to rough colours
_SHARE = 0.7  # of the common colours: the archive's JPEG files have 0.91, and 0.14 near any other palette
_CLASSES = 4  # of a palette that must occur: black, white and red are in many images
_OCCURS = 0.002  # share of the common colours from which a class occurs


def known_palette(images: Sequence[ImageStats]) -> str | None:
    """Return the name of the published palette that the flat colours of the images belong to, or None."""
    if not few_colours(images):
        return None
    codes, counts = np.concatenate([image.common for image in images], axis=1)
    levels = 256 // ROUGH
    rough = np.bincount(codes, counts, minlength=levels**3) / counts.sum()
    fits = {name: _fit(np.array(colours), rough) for name, colours in known_palettes().items()}
    best = max(fits, key=lambda name: fits[name])
    return best if fits[best] >= _SHARE else None


def _fit(palette: Pixels, rough: Pixels) -> float:
    """Return the share of the rough colours that are near one of the palette [n, 3]; 0 where few classes occur."""
    levels = 256 // ROUGH
    low = np.stack(np.unravel_index(np.arange(levels**3), (levels,) * 3), axis=1)[:, None] * ROUGH  # [4096, 1, 3]
    near: Pixels = np.all((palette >= low - _NEAR) & (palette < low + ROUGH + _NEAR), axis=2)  # [4096, n]
    if (rough @ near >= _OCCURS).sum() < _CLASSES:
        return 0.0
    return float(rough[near.any(1)].sum())
