"""Dataset validation: read every pair before training and report what is wrong (`pix2pix check`)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pix2pix.check.files import layout_finding, other_files, unmatched_findings
from pix2pix.check.findings import Finding, finding, in_order
from pix2pix.check.report import Report, Split
from pix2pix.check.resources import estimate_resources
from pix2pix.check.rules import pair_findings
from pix2pix.check.sample import NEEDS_ALL_PAIRS, SAMPLE, SampleReport, check_sample, measure_pairs, spread
from pix2pix.check.sheet import write_sheet
from pix2pix.check.stats import PairStats
from pix2pix.config import Config, DataConfig
from pix2pix.data.discovery.pairing import Unmatched
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat, SampleNote
from pix2pix.data.index import DatasetIndex, source_label
from pix2pix.data.infer import infer_pair_formats
from pix2pix.data.pairs import Pair
from pix2pix.errors import ConfigError, DataError
from pix2pix.runtime.ownership import may_write_image
from pix2pix.text import counted

__all__ = ["Report", "SampleReport", "check", "check_sample"]


def check(config: Config, preview: str | Path | None = None, limit: int | None = None) -> Report:
    """Read every pair of every split of a config's data set and report problems. Nothing is trained.

    `limit`: read only this many pairs of each split, evenly spaced; findings that need all are omitted. `preview`:
    where to write a sheet of pairs as the networks will see them. Problems of the data go into the report. Raises
    DataError only where there is no data set, and ConfigError or CheckpointError where the sheet cannot be written.
    """
    if preview is not None:
        _require_sheet(Path(preview))
    data = config.data
    index = DatasetIndex.scan_leniently(data)
    used = [split for split in ("train", "val") if split == "train" or split in index.splits]
    layout, all_pairs, findings = _find(index, used)
    pairs = {split: spread(some, limit) for split, some in all_pairs.items()}
    formats, problem = _infer_formats(data, all_pairs)  # from the same pairs as training
    stats = measure_pairs([(split, pair) for split, some in pairs.items() for pair in some], formats)
    about_pairs = pair_findings(data, stats, used, formats)
    if len(stats) < sum(map(len, all_pairs.values())):
        about_pairs = [item for item in about_pairs if item.code not in NEEDS_ALL_PAIRS]
    if problem is not None:  # the formats are a guess, from which every file may differ
        if problem.code == "kind":
            findings.append(layout_finding(problem, code="kind"))
        elif any(item.code == "format" for item in about_pairs):
            findings.append(layout_finding(problem, code="format"))
        about_pairs = [item for item in about_pairs if item.code != "format"]
    findings += [*about_pairs, *other_files(source_label(data), index.skipped_files)]
    shown = 0 if preview is None else _preview(Path(preview), config, pairs, stats, formats)
    cached = _cache_bytes(config, [item for item in stats if item.split in used], formats)
    return Report(
        source_label(data),
        layout,
        {
            split: _summarize([item for item in stats if item.split == split], formats, len(some))
            for split, some in all_pairs.items()
        },
        in_order(findings),
        estimate_resources(config, cached, *formats.channels),
        str(preview) if shown else None,
        [note for note in formats.notes if not isinstance(note, SampleNote)],
        index.skipped_files,
    )


def _require_sheet(path: Path) -> None:
    """Raise ConfigError where the path does not end with .png, or a file that pix2pix did not make exists there."""
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{path}: a sheet is a PNG image; give a name that ends with .png")
    if not may_write_image(path):
        raise ConfigError(f"{path}: exists and was not made by pix2pix; give another name with --preview")


def _find(index: DatasetIndex, used: Sequence[str]) -> tuple[str, dict[str, Sequence[Pair]], list[Finding]]:
    """Return the layout, the pairs of each split, and the findings about files that form no pairs."""
    data = index.data
    layout: str = data.layout
    pairs: dict[str, Sequence[Pair]] = {}
    errors: dict[str, tuple[DataError, list[str]]] = {}
    unmatched: dict[str, Unmatched] = {}
    for split in dict.fromkeys(["train", *index.splits]):
        try:
            pairs[split] = index.pairs(split, data.load or data.crop)
            if len(pairs) == 1:
                train_layout = index.layout(split)
                name = train_layout.name
                layout = name if name == "synthetic" else f"{name}, {train_layout}"
        except DataError as error:
            if error.code != "no-pairs" or index.unmatched(split) == Unmatched():  # else unmatched images explain it
                errors.setdefault(str(error), (error, []))[1].append(split)
        unmatched[split] = index.unmatched(split)
    findings = [
        layout_finding(error, "error" if {*used} & {*failed} else "warning") for error, failed in errors.values()
    ]
    if "val" not in used:
        findings.append(
            finding(
                "no-validation",
                "no pairs to validate on, so training keeps no best.pt",
                "set data.val_fraction above 0, or move some pairs to a split val",
            )
        )
    return layout, pairs, [*findings, *unmatched_findings(unmatched, used)]


def _infer_formats(data: DataConfig, pairs: dict[str, Sequence[Pair]]) -> tuple[PairFormat, DataError | None]:
    """Infer the formats from a sample of the pairs. If that is impossible, return RGB and the error.

    Broken pairs are left out of the sample: they are reported when all pairs are read.
    """
    first_split = next((some for some in pairs.values() if some), [])
    positions = np.linspace(0, len(first_split) - 1, min(SAMPLE, len(first_split))).round().astype(int)
    sample = [first_split[position] for position in positions]
    inputs = len(sample[0].names) - 1 if sample else 1
    first_error = None
    while sample:
        try:
            return infer_pair_formats(data, sample), None
        except DataError as error:
            first_error, count = first_error or error, len(sample)
            sample = [pair for pair in sample if str(error.path) not in map(str, pair.names)]
            if len(sample) == count:
                break
    return PairFormat(RGB.input * inputs, RGB.target), first_error


def _summarize(stats: Sequence[PairStats], formats: PairFormat, total: int) -> Split:
    """Describe the pairs of a split for the table of the report."""
    good = [pair_stats for pair_stats in stats if pair_stats.images]
    sizes = sorted({pair_stats.input.size for pair_stats in good}, key=lambda size: (size[0] * size[1], size))
    extremes = [f"{width}x{height}" for height, width in (*sizes[:1], *sizes[-1:])]
    size = " to ".join(dict.fromkeys(extremes)) or "none readable"
    *inputs, target = (
        _describe(fmt, [pair_stats.stored[key] for pair_stats in good]) for key, fmt in formats.parts.items()
    )
    return Split(len(stats), size, " and ".join(dict.fromkeys(inputs)), target, total if total > len(stats) else None)


def _describe(fmt: ImageFormat, stored: Sequence[tuple[int, str]]) -> str:
    """Describe a format, and the content of the files if it differs."""
    if fmt.kind != "image" or {*stored} <= {(fmt.channels, fmt.dtype)}:
        return str(fmt)
    kinds = Counter(channels for channels, _ in stored).most_common()
    words = ", ".join(f"{count:,} of {counted(channels, 'channel')}" for channels, count in kinds)
    return f"{fmt} (from {words})"


def _cache_bytes(config: Config, stats: Sequence[PairStats], formats: PairFormat) -> int:
    """Return the bytes that the pairs take in the cache."""
    load = config.data.load
    pixel = sum(fmt.channels * np.dtype(fmt.dtype).itemsize for fmt in formats.parts.values())
    sizes = (load or pair_stats.input.size for pair_stats in stats if pair_stats.images)
    return sum(pixel * height * width for height, width in sizes)


def _preview(
    path: Path, config: Config, pairs: dict[str, Sequence[Pair]], stats: Sequence[PairStats], formats: PairFormat
) -> int:
    """Write the sheet and return the number of pairs on it; if no pair can be read, write nothing and return 0."""
    good = {(pair_stats.split, pair_stats.name) for pair_stats in stats if pair_stats.images}
    for split, some in pairs.items():
        readable = [pair for pair in some if (split, pair.name) in good]
        if readable:
            return write_sheet(path, config, readable, formats)
    return 0
