"""Check a sample of the pairs in a fraction of a second before training starts (`pix2pix train`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pix2pix.check.findings import Finding, in_order
from pix2pix.check.rules import pair_findings
from pix2pix.check.stats import PairStats, pair_stats
from pix2pix.config import DataConfig
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.data.index import DatasetIndex
from pix2pix.data.infer import infer_pair_formats
from pix2pix.data.pairs import Pair
from pix2pix.runtime.parallel import for_each

SAMPLE = 32  # pairs
_Item = TypeVar("_Item")
_GROUP = 8  # pairs that a thread processes in one call
NEEDS_ALL_PAIRS = {"label-gaps"}  # codes of findings that need all pairs, such as ids that never occur


@dataclass(frozen=True)
class SampleReport:
    """The errors and warnings about a sample of `checked` pairs out of `pairs`, the worst first."""

    checked: int
    pairs: int
    findings: list[Finding]


def check_sample(data: DataConfig, size: int = SAMPLE) -> SampleReport:
    """Check up to `size` pairs, spread over the splits that training reads. Notes are omitted.

    Raises the DataError of training if training would refuse the data set, and Stopped.
    """
    if data.layout == "synthetic":  # drawn pairs are correct
        return SampleReport(0, 0, [])
    index = DatasetIndex.scan(data)
    used = [split for split in ("train", "val") if split == "train" or split in index.splits]
    pairs = [(split, pair) for split in used for pair in index.pairs(split, data.load or data.crop)]
    formats = infer_pair_formats(data, [pair for split, pair in pairs if split == "train"])
    sample = spread(pairs, size)
    stats = measure_pairs(sample, formats, progress=False)
    if not data.skip_broken:
        for (_, pair), pair_statistics in zip(sample, stats, strict=True):
            if pair_statistics.problems:
                pair.read(formats)  # raises the error that training would raise
    findings = [
        finding
        for finding in pair_findings(data, stats, used, formats)
        if finding.severity != "note"
        and not (finding.code in NEEDS_ALL_PAIRS and len(sample) < len(pairs))
        and not (data.skip_broken and any(finding.code == problem.code for pair in stats for problem in pair.problems))
    ]
    return SampleReport(len(sample), len(pairs), in_order(findings))


def spread(items: Sequence[_Item], most: int | None) -> Sequence[_Item]:
    """Return at most `most` of the items, evenly spread; None returns all."""
    if most is None or len(items) <= most:
        return items
    return [items[position] for position in np.linspace(0, len(items) - 1, most).round().astype(int)]


def measure_pairs(pairs: Sequence[tuple[str, Pair]], formats: PairFormat, progress: bool = True) -> list[PairStats]:
    """Compute the statistics of (split, pair), in threads. Raises Stopped."""
    groups: list[list[PairStats]] = [[] for _ in range(0, len(pairs), _GROUP)]

    def measure(number: int) -> None:
        groups[number] = pair_stats(pairs[number * _GROUP : (number + 1) * _GROUP], formats)

    for_each(measure, range(len(groups)), f"checking pairs, {_GROUP} at a time", progress)
    return [stats for group in groups for stats in group]
