"""Compare pairs with each other: copies, images in two splits, pairs with input and target exchanged."""

from collections.abc import Sequence

import numpy as np

from pix2pix.check.likeness import Likeness, near_duplicates
from pix2pix.check.stats import SAMPLED, ImageStats, PairStats
from pix2pix.data.discovery.words import SPLITS

_PLAIN = 8  # images with a smaller range of grey may be equal by chance
_FEWEST = 8  # pairs from which the usual direction can be learned
_DISTINCT = 3  # at least one trait must separate inputs from targets by this many spreads
_PALETTE = 24  # rough colours, besides the most common, that label maps may have
_FEW_COLOURS = 0.55  # their share beside the most common colour: JPEG labels of the facades have 0.65, photographs 0.35
_FLAT = 0.5  # share of flat areas: JPEG labels of the facades have 0.8, photographs 0.45
_SURE = 0.4  # share of the usual score: below its negative, a pair is swapped; between the two, it is unclear


def duplicates(pairs: Sequence[PairStats]) -> list[tuple[PairStats, PairStats]]:
    """Return (first, copy) where all images equal those of an earlier pair of the same split."""
    first: dict[tuple[str, tuple[Likeness, ...]], PairStats] = {}
    copies = []
    for pair in pairs:
        key = (pair.split, tuple(image.likeness for image in pair.images.values()))
        if first.setdefault(key, pair) is not pair:
            copies.append((first[key], pair))
    return copies


def leaks(pairs: Sequence[PairStats]) -> list[tuple[PairStats, PairStats, str]]:
    """Return (pair, pair of an earlier split, `input`, `target` or `pair`) where they share an image."""
    first: dict[tuple[str, Likeness], PairStats] = {}
    shared_pairs = []
    for pair in sorted(pairs, key=lambda pair: SPLITS.index(pair.split)):
        shared: dict[str, PairStats] = {}
        for side, image in pair.images.items():
            other = first.setdefault((side, image.likeness), pair)
            if other.split != pair.split and _is_distinctive(image):
                shared[side] = other
        if shared:
            side = next(iter(shared))
            shared_pairs.append((pair, shared[side], "pair" if len(shared) == len(pair.images) else side))
    return shared_pairs


def _is_distinctive(image: ImageStats) -> bool:
    return image.high - image.low > _PLAIN


def near_leaks(pairs: Sequence[PairStats]) -> list[tuple[PairStats, PairStats]]:
    """Return (pair, pair of an earlier split) where they are nearly equal."""
    if not pairs:
        return []
    # Compare the side with more colours first: photographs differ from each other more than label maps do.
    inputs, targets = (np.median([pair.images[side].traits[0] for pair in pairs]) for side in ("input", "target"))
    first, second = ("input", "target") if inputs > targets else ("target", "input")

    def likenesses(pairs: list[PairStats]) -> list[tuple[Likeness, Likeness]]:
        return [(pair.images[first].likeness, pair.images[second].likeness) for pair in pairs]

    similar: list[tuple[PairStats, PairStats]] = []
    earlier: list[PairStats] = []
    for split in SPLITS:
        distinctive = [pair for pair in pairs if pair.split == split and _is_distinctive(pair.images[first])]
        if distinctive and earlier:
            similar += [
                (distinctive[i], earlier[j]) for i, j in near_duplicates(likenesses(distinctive), likenesses(earlier))
            ]
        earlier += distinctive
    return similar


def swapped(pairs: Sequence[PairStats]) -> list[PairStats]:
    """Return the pairs whose input looks like the other targets and vice versa; an empty list where this is unclear.

    A pair's score is the difference of its traits, projected on the median difference; each trait is weighted by how
    consistently it separates the two. Medians make the result robust against the swapped pairs themselves.
    """
    if len(pairs) < _FEWEST:
        return []
    differences = np.array([pair.input.traits - pair.target.traits for pair in pairs])
    usual = np.median(differences, 0)
    spread = 1.4826 * np.median(np.abs(differences - usual), 0) + 0.05
    if (np.abs(usual) / spread).max() < _DISTINCT:
        return []
    scores = differences @ (usual / spread**2)
    scores /= np.median(scores)
    wrong, unclear = scores < -_SURE, np.abs(scores) <= _SURE
    if unclear.mean() > 0.05 or wrong.mean() > 0.4:
        return []
    return [pair for pair, is_wrong in zip(pairs, wrong, strict=True) if is_wrong]


def few_colours(images: Sequence[ImageStats]) -> bool:
    """Return whether images consist of a few flat colours that they share, as label maps and edges do."""
    if not images or np.median([image.traits[2] for image in images]) < _FLAT:
        return False
    codes, counts = np.concatenate([image.common for image in images], axis=1)
    shares = np.sort(np.bincount(codes, counts))[::-1] / (SAMPLED**2 * len(images))
    return bool(shares[1 : 1 + _PALETTE].sum() >= _FEW_COLOURS * (1 - shares[0]))
