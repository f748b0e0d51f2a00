"""What only shows between pairs: copies, pictures in two splits, pairs the wrong way round."""

from collections.abc import Sequence

import numpy as np

from pix2pix.check.likeness import Likeness, near_duplicates
from pix2pix.check.stats import SAMPLED, ImageStats, PairStats
from pix2pix.data.discovery.folders import SPLITS

_SAYS_NOTHING = 8  # pictures with a range of grey up to this may equal each other by chance
_FEWEST = 8  # pairs that a usual way round can be told from
_TELLING = 3  # by how many spreads one trait at least must tell input from target
_PALETTE = 24  # rough colours, beside the commonest, that label maps may have
_FEW_COLOURS = 0.55  # the share of these in what is not of the commonest: facades' JPEG labels 0.65, photographs 0.35
_FLAT = 0.5  # of such pictures is flat: of facades' JPEG labels 0.8, photographs 0.45
_SURE = 0.4  # of the usual score: below less this a pair is the wrong way round, in between it is neither


def duplicates(pairs: Sequence[PairStats]) -> list[tuple[PairStats, PairStats]]:
    """(first, again) where all pictures equal those of an earlier pair of the same split."""
    first: dict[tuple, PairStats] = {}
    found = []
    for pair in pairs:
        key = (pair.split, *(look.likeness for look in pair.looks.values()))
        if first.setdefault(key, pair) is not pair:
            found.append((first[key], pair))
    return found


def leaks(pairs: Sequence[PairStats]) -> list[tuple[PairStats, PairStats, str]]:
    """(pair, pair of an earlier split, `input`, `target` or `pair`) where they share a picture."""
    first: dict[tuple[str, Likeness], PairStats] = {}
    found = []
    for pair in sorted(pairs, key=lambda pair: SPLITS.index(pair.split)):
        shared: dict[str, PairStats] = {}
        for side, look in pair.looks.items():
            other = first.setdefault((side, look.likeness), pair)
            if other.split != pair.split and _tells(look):
                shared[side] = other
        if shared:
            side = next(iter(shared))
            found.append((pair, shared[side], "pair" if len(shared) == len(pair.looks) else side))
    return found


def _tells(look: ImageStats) -> bool:
    return look.high - look.low > _SAYS_NOTHING


def near_leaks(pairs: Sequence[PairStats]) -> list[tuple[PairStats, PairStats]]:
    """(pair, pair of an earlier split) where they are nearly equal."""
    if not pairs:
        return []
    # The side with more colours is more like a photograph: label maps look alike sooner.
    inputs, targets = (np.median([getattr(pair, side).traits[0] for pair in pairs]) for side in ("input", "target"))
    sides = ("input", "target") if inputs > targets else ("target", "input")

    def likenesses(some: list[PairStats]) -> list[tuple[Likeness, Likeness]]:
        return [tuple(getattr(pair, side).likeness for side in sides) for pair in some]

    found, earlier = [], []
    for split in SPLITS:
        here = [pair for pair in pairs if pair.split == split and _tells(getattr(pair, sides[0]))]
        if here and earlier:
            found += [(here[i], earlier[j]) for i, j in near_duplicates(likenesses(here), likenesses(earlier))]
        earlier += here
    return found


def swapped(pairs: Sequence[PairStats]) -> list[PairStats]:
    """The pairs whose input has the traits of the others' targets and the reverse; none where that cannot be told.

    A pair's score is how far its traits point from target to input as the median pair's do, each trait counting by how
    steadily it tells the two apart (medians, so that what is to be found does not matter).
    """
    if len(pairs) < _FEWEST:
        return []
    ways = np.array([pair.input.traits - pair.target.traits for pair in pairs])
    usual = np.median(ways, 0)
    spread = 1.4826 * np.median(np.abs(ways - usual), 0) + 0.05
    if (np.abs(usual) / spread).max() < _TELLING:
        return []
    scores = ways @ (usual / spread**2)
    scores /= np.median(scores)
    wrong, unclear = scores < -_SURE, np.abs(scores) <= _SURE
    if unclear.mean() > 0.05 or wrong.mean() > 0.4:
        return []
    return [pair for pair, is_wrong in zip(pairs, wrong, strict=True) if is_wrong]


def few_colours(looks: Sequence[ImageStats]) -> bool:
    """Whether pictures are drawn in a few flat colours that they share, as label maps and edges are."""
    if not looks or np.median([look.traits[2] for look in looks]) < _FLAT:
        return False
    codes, counts = np.concatenate([look.common for look in looks], axis=1)
    shares = np.sort(np.bincount(codes, counts))[::-1] / (SAMPLED**2 * len(looks))
    return shares[1 : 1 + _PALETTE].sum() >= _FEW_COLOURS * (1 - shares[0])
