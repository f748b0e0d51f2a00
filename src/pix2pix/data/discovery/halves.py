"""Distinguish side-by-side pairs from single images by the seam in the middle and the edges that the halves share."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pix2pix.data.images.decoded import resize
from pix2pix.data.images.files import read_image, read_info
from pix2pix.errors import DataError

_SAMPLE = 8  # images of a split that are decoded
_SIDE = 64  # pixels a side of the reduced halves
_EDGES = 48  # pixels a side of the copies whose edges are compared
_SMALLEST = 8  # pixels a side of a half; nothing can be measured in smaller ones
_NEAR = 16  # columns on each side of the middle that it is compared with
_FLAT = 0.5  # of 255: if the columns at the middle differ by less, as in white margins, the seam is not measured
_SMOOTH = 0.6  # of the difference between distant columns: if near ones differ by more, the images are noise
# Measured on 8 images at a time. Facades, drawn facades and edges beside photographs have a seam of 6 to 15; unrelated
# photographs side by side, 3.6 to 7.8; noisy beside clean ones, 2 to 4.3 with an agreement of 22 to 70. Single
# photographs, crops, letterboxed ones and label maps have a seam of 0.2 to 2.4, with an agreement of up to 11.
_BREAK, _WEAK_BREAK = 2.5, 1.5
_AGREE, _SURELY_AGREE = 2.5, 14
_FEWEST = 4  # images whose halves are compared with each other's
_WIDE = 1.96  # width by height from which an image has the shape of two squares
_HALF = 1.6  # a split whose images are this many times narrower than another's holds single images

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Halves:
    """What a sample of images says about their halves.

    `seam`: the difference of the two columns at the middle, as a multiple of the differences of neighbouring columns
    near it; None if it cannot be measured, as in noise or white margins. `agreement`: by how many standard errors the
    edges of an image's two halves correlate more than those of different images; None for fewer than 4 images.
    `wide`: whether every image is at least about twice as wide as high.
    """

    seam: float | None
    agreement: float | None
    wide: bool

    @property
    def is_broken(self) -> bool:
        """Whether the images do not continue across the middle."""
        agree = -np.inf if self.agreement is None else self.agreement
        return self.seam is not None and (self.seam >= _BREAK or (self.seam >= _WEAK_BREAK and agree >= _SURELY_AGREE))

    @property
    def agree(self) -> bool:
        """Whether the edges of the two halves of an image are alike."""
        return self.agreement is not None and self.agreement >= _AGREE

    @property
    def are_pairs(self) -> bool:
        """Whether the images hold two sides: no continuity across the middle, and the shape or edges of pairs."""
        if self.seam is not None and not self.is_broken:
            return False
        return self.wide or (self.is_broken and self.agree)

    def __str__(self) -> str:
        """The reasons, for the plan or for an error."""
        reasons = ["the images are twice as wide as high" if self.wide else "the images are not twice as wide as high"]
        if self.seam is not None:
            reasons.append("break at the middle" if self.is_broken else "continue across the middle")
        if self.agree and self.is_broken:
            reasons.append("have edges in common in both halves")
        return f"{', '.join(reasons[:-1])} and {reasons[-1]}" if len(reasons) > 1 else reasons[0]


def sample(paths: Sequence[Path]) -> list[Path]:
    """Choose at most 8 paths, evenly spaced: the same ones every time."""
    positions = np.linspace(0, len(paths) - 1, min(_SAMPLE, len(paths))).round().astype(int)
    return [paths[position] for position in positions]


def median_aspect(paths: Sequence[Path]) -> float | None:
    """Return the median of width / height of a sample, from the headers; None if no file can be read."""
    aspects = []
    for path in sample(paths):
        try:
            height, width = read_info(path).size
        except DataError:  # reported where the pair is read
            continue
        aspects.append(width / max(height, 1))
    return statistics.median(aspects) if aspects else None


def measure_halves(paths: Sequence[Path]) -> Halves | None:
    """Measure a sample of at most 8 of these images; return None if none of them can be read."""
    copies, wide = [], []
    for path in sample(paths):
        try:
            pixels = read_image(path).colours()
        except DataError:  # reported where the pair is read
            continue
        height, width = pixels.shape[:2]
        wide.append(width >= _WIDE * height)
        if width // 2 >= _SMALLEST and height >= _SMALLEST:
            copies.append(_reduced(pixels))
    if not wide:
        return None
    return Halves(_seam(copies), _agreement(copies), all(wide))


def _reduced(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Return both halves, float32 [h, w, C] of at most 64 x 64 and 0 to 255, each reduced on its own."""
    width = pixels.shape[1] // 2
    size = min(_SIDE, pixels.shape[0]), min(_SIDE, width)
    floats = np.nan_to_num(pixels.astype(np.float32), posinf=0, neginf=0)
    floats -= floats.min()
    floats *= 255 / max(float(floats.max()), 1e-6)
    left, right = (resize(half, size, "bilinear") for half in (floats[:, :width], floats[:, -width:]))
    return left, right


def _seam(copies: Sequence[tuple[Pixels, Pixels]]) -> float | None:
    """Return the step across the middle divided by the steps near it, each summed over the images."""
    middle = near = distant = 0.0
    for left, right in copies:
        steps = np.abs(np.diff(np.concatenate([left, right], 1), axis=1)).max(2).mean(0)  # [columns - 1]
        seam = left.shape[1] - 1
        if steps[max(0, seam - 2) : seam + 3].max() < _FLAT:
            continue
        middle += float(steps[seam])
        near += float(np.r_[steps[max(0, seam - _NEAR) : seam], steps[seam + 1 : seam + 1 + _NEAR]].mean())
        shift = left.shape[1] // 2
        distant += float(np.mean([np.abs(half[:, shift:] - half[:, :-shift]).max(2).mean() for half in (left, right)]))
    return None if near >= _SMOOTH * distant else middle / max(near, 1e-6)


def _agreement(copies: Sequence[tuple[Pixels, Pixels]]) -> float | None:
    """Compare the edges of both halves of each image with those of the other images' halves."""
    count = len(copies)
    if count < _FEWEST:
        return None
    left, right = (np.stack([_edges(copy[side]) for copy in copies]) for side in (0, 1))
    correlations = _units(left) @ _units(right).T
    own, others = np.diag(correlations), correlations[~np.eye(count, dtype=bool)]
    return float((own.mean() - others.mean()) / max(float(others.std()), 1e-6) * count**0.5)


def _edges(half: Pixels) -> Pixels:
    """Return the square roots of the strengths of the edges, flat, so that a few strong ones do not dominate."""
    grey = resize(half.mean(2, keepdims=True), (_EDGES, _EDGES), "bilinear")[..., 0]
    across, down = grey[1:-1, 2:] - grey[1:-1, :-2], grey[2:, 1:-1] - grey[:-2, 1:-1]
    strengths: Pixels = np.sqrt(np.hypot(across, down))[1:-1, 1:-1].ravel()
    return strengths


def _units(rows: Pixels) -> Pixels:
    """Return the rows with mean 0 and length 1, after removing what all of them share, such as margins."""
    rows = rows - rows.mean(0)
    rows -= rows.mean(1, keepdims=True)
    units: Pixels = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return units


def require_pairs(folder: Path, paths: Sequence[Path], others: Sequence[Sequence[Path]], partners: str) -> str:
    """Return the evidence that these images are side-by-side pairs, as a text for the plan.

    `others`: the images of the other splits. `partners`: a text that names folders or files that may hold partners of
    these images, "" for none. Raises DataError if there is no evidence.
    """
    aspect = median_aspect(paths)
    widest = max((other for other in map(median_aspect, others) if other is not None), default=0.0)
    if aspect is not None and widest >= _HALF * aspect:
        raise DataError(
            f"its images have a width / height of {aspect:.2f}, and those of another split {widest:.2f}, so these seem "
            "to be single images, unlike those",
            path=folder,
            remedy="replace them by pairs, move the folder away, or set data.layout to side-by-side where each of its "
            "images holds A and B",
            code="single-images",
        )
    halves = measure_halves(paths)
    if halves is None:
        return ""
    if halves.are_pairs and (not partners or (halves.is_broken and halves.agree)):
        return str(halves)
    reason = f"its images do not seem to hold A and B side by side: {halves}"
    raise DataError(
        f"{reason}{'; partners may be ' + partners if partners else ''}",
        path=folder,
        remedy="put inputs and targets into two folders and name them with data.input and data.target, or list the "
        "pairs in a data.manifest, or set data.layout to side-by-side where each image holds A and B",
        code="single-images",
    )
