"""`pix2pix check`: the friend who looks at a data set before a network does."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pix2pix.check.files import beside_findings, layout_finding
from pix2pix.check.findings import Finding, counted, finding, in_order
from pix2pix.check.report import Report, Split
from pix2pix.check.resources import find_needs
from pix2pix.check.rules import pair_findings
from pix2pix.check.sheet import write_sheet
from pix2pix.check.stats import PairStats, look_at
from pix2pix.config import Config, DataConfig
from pix2pix.data.discovery.index import DatasetIndex, source_label
from pix2pix.data.discovery.sources import Unmatched
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat
from pix2pix.data.formats.infer import infer_pair_formats
from pix2pix.data.pairs import Pair
from pix2pix.errors import ConfigError, DataError
from pix2pix.runtime.ownership import may_write_image
from pix2pix.runtime.parallel import for_each

__all__ = ["Report", "check"]

_SAMPLE = 32  # pairs that show what pictures are
_AT_ONCE = 8  # pairs that a thread looks at together


def check(config: Config, preview: str | Path | None = None) -> Report:
    """Looks at every pair of every split that a config names; the networks are only measured.

    `preview`: where to write a sheet of pairs as the networks will see them. Whatever is wrong is in the report; raises
    DataError only where there is no data set, and ConfigError or CheckpointError where the sheet cannot be written.
    """
    if preview is not None and Path(preview).suffix.lower() != ".png":
        raise ConfigError(f"{preview}: a sheet is a PNG picture; give a name that ends with .png")
    if preview is not None and not may_write_image(Path(preview)):
        raise ConfigError(f"{preview}: exists and is not a sheet of pix2pix; give another name with --preview")
    data = config.data
    index = DatasetIndex.scan_leniently(data)
    splits = index.splits
    used = [split for split in ("train", "val") if split == "train" or split in splits]
    layout, pairs, findings = _find(index, used)
    formats, problem = _forms(data, pairs)
    seen = _look_at_all(pairs, formats)
    found = pair_findings(data, seen, used, formats)
    if problem is not None:  # and every file is unlike forms that were only guessed
        if any(one.code == "format" for one in found):
            findings.append(layout_finding(problem, code="format"))
        found = [one for one in found if one.code != "format"]
    findings += found
    shown = 0 if preview is None else _preview(Path(preview), config, pairs, seen, formats)
    table = {split: _split([one for one in seen if one.split == split], formats) for split in pairs}
    needs = find_needs(
        config, _cache_bytes(config, [one for one in seen if one.split in used], formats), *formats.channels
    )
    return Report(source_label(data), layout, table, in_order(findings), needs, str(preview) if shown else None)


def _find(index: DatasetIndex, used: Sequence[str]) -> tuple[str, dict[str, Sequence[Pair]], list[Finding]]:
    """The layout for the report, the pairs of each split, and findings about the files that are no pairs."""
    data = index.data
    layout: str = data.layout
    pairs: dict[str, Sequence[Pair]] = {}
    errors: dict[str, list[str]] = {}
    unmatched: dict[str, Unmatched] = {}
    for split in dict.fromkeys(["train", *index.splits]):
        try:
            pairs[split] = index.pairs(split, data.load or data.crop)
            if len(pairs) == 1:
                found = index.layout(split)
                layout = found.name if found.name == "synthetic" else f"{found.name}, {found}"
        except DataError as error:
            if error.code != "no-pairs" or index.unmatched(split) == Unmatched():  # else the unmatched images tell why
                errors.setdefault(str(error), []).append(split)
        unmatched[split] = index.unmatched(split)
    findings = [layout_finding(text, "error" if {*used} & {*some} else "warning") for text, some in errors.items()]
    if "val" not in used:
        findings.append(
            finding(
                "no-validation",
                "no pairs to validate on, so training keeps no best.pt",
                "set data.val_fraction above 0, or move some pairs to a split val",
            )
        )
    return layout, pairs, [*findings, *beside_findings(unmatched, used)]


def _forms(data: DataConfig, pairs: dict[str, Sequence[Pair]]) -> tuple[PairFormat, DataError | None]:
    """What the pictures are, from a sample of the pairs; and why that cannot be told, where it cannot.

    Pairs that are broken are left out of the sample: they are named when all are looked at.
    """
    some, first = next((some for some in pairs.values() if some), []), None
    sample = [some[place] for place in np.linspace(0, len(some) - 1, min(_SAMPLE, len(some))).round().astype(int)]
    inputs = len(sample[0].names) - 1 if sample else 1
    while sample:
        try:
            return infer_pair_formats(data, sample), None
        except DataError as error:
            first, count = first or error, len(sample)
            sample = [pair for pair in sample if not any(str(error).startswith(str(name)) for name in pair.names)]
            if len(sample) == count:
                break
    return PairFormat(RGB.input * inputs, RGB.target), first


def _look_at_all(pairs: dict[str, Sequence[Pair]], formats: PairFormat) -> list[PairStats]:
    places = [(split, pair) for split, some in pairs.items() for pair in some]
    seen: list[list[PairStats]] = [[] for _ in range(0, len(places), _AT_ONCE)]

    def some(number: int) -> None:
        seen[number] = look_at(places[number * _AT_ONCE : (number + 1) * _AT_ONCE], formats)

    for_each(some, range(len(seen)), f"looking at pairs, {_AT_ONCE} at a time")
    return [one for group in seen for one in group]


def _split(seen: Sequence[PairStats], formats: PairFormat) -> Split:
    good = [one for one in seen if one.looks]
    sizes = sorted({one.input.size for one in good}, key=lambda size: (size[0] * size[1], size))
    ends = [f"{height}x{width}" for height, width in (*sizes[:1], *sizes[-1:])]
    size = " to ".join(dict.fromkeys(ends)) or "none that can be read"
    *inputs, target = (_in_words(fmt, [one.stored[key] for one in good]) for key, fmt in formats.parts.items())
    return Split(len(seen), size, " and ".join(dict.fromkeys(inputs)), target)


def _in_words(fmt: ImageFormat, stored: Sequence[tuple[int, str]]) -> str:
    """What pictures become, and what their files hold where that is something else."""
    if fmt.kind != "image" or {*stored} <= {(fmt.channels, fmt.dtype)}:
        return str(fmt)
    kinds = Counter(channels for channels, _ in stored).most_common()
    words = ", ".join(f"{count:,} of {counted(channels, 'channel')}" for channels, count in kinds)
    return f"{fmt} (from {words})"


def _cache_bytes(config: Config, seen: Sequence[PairStats], formats: PairFormat) -> int:
    load = config.data.load
    pixel = sum(fmt.channels * np.dtype(fmt.dtype).itemsize for fmt in formats.parts.values())
    sizes = (load or one.input.size for one in seen if one.looks)
    return sum(pixel * height * width for height, width in sizes)


def _preview(
    path: Path, config: Config, pairs: dict[str, Sequence[Pair]], seen: Sequence[PairStats], formats: PairFormat
) -> int:
    """How many pairs the sheet shows; it is not written where none can be read."""
    good = {(one.split, one.name) for one in seen if one.looks}
    for split, some in pairs.items():
        readable = [pair for pair in some if (split, pair.name) in good]
        if readable:
            return write_sheet(path, config, readable, formats)
    return 0
