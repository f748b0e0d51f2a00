"""What is said of the values in pictures: too few, too dark, too many colours, or ids with gaps."""

from collections.abc import Iterator, Sequence

import numpy as np

from pix2pix.check.cross_pair import few_colours
from pix2pix.check.findings import Finding, Item, counted, finding
from pix2pix.check.stats import ImageStats, PairStats
from pix2pix.config import DataConfig, ImageFormatConfig
from pix2pix.data.discovery.folders import first_ten
from pix2pix.data.formats.image_format import PairFormat

_MANY_COLOURS = 64  # in a sample of a flat picture: labels have few, and what JPEG or resizing makes of them many
_DARK = 31  # the highest value in a picture that comes out black
_FAINT = 8  # the range of grey in a picture that is almost of one colour
_CHANNELS = {2: "grey with alpha", 3: "RGB", 4: "RGBA"}
_GAPS = 8  # ids that are never seen


def value_findings(data: DataConfig, pairs: Sequence[PairStats], formats: PairFormat) -> list[Finding]:
    """Of pairs that can be read as `forms` say."""
    return [
        *_values(pairs, formats),
        *_blended(pairs, formats),
        *_gaps(data, pairs, formats),
        *_few(data, pairs, formats),
    ]


def names(*pairs: PairStats) -> tuple[str, ...]:
    """What a person looks for: the first file of each, or the name of a drawn pair."""
    return tuple(pair.files[0] if pair.files else pair.name for pair in pairs)


def _each(pairs: Sequence[PairStats]) -> Iterator[tuple[PairStats, str, ImageStats]]:
    for pair in pairs:
        for key, look in pair.looks.items():
            yield pair, key, look


def _item(pair: PairStats, key: str) -> Item:
    """One picture of a pair: its file, or its pair's with the side named."""
    if len(pair.files) > 1:
        return Item((pair.files[list(pair.looks).index(key)],))
    return Item(names(pair), key)


def _values(pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    kinds = {key: fmt.kind for key, fmt in formats.parts.items()}
    constant = [(pair, key) for pair, key, look in _each(pairs) if look.one_colour]
    if constant:
        yield finding(
            "constant",
            f"{counted(len(constant), 'picture')} of one colour",
            "remove the pairs, unless an empty picture means something",
            [_item(*place) for place in constant],
            "warning" if any(kinds[key] == "image" for _, key in constant) else "note",
        )
    others = [(pair, key, look) for pair, key, look in _each(pairs) if kinds[key] == "image" and not look.one_colour]
    dark = [(pair, key, look.top) for pair, key, look in others if look.top <= _DARK]
    if dark:
        top = max(top for *_, top in dark)
        kind = "mask" if top == 1 else "labels"
        sections = " and ".join(dict.fromkeys(f"data.{key.partition('_')[0]}_format" for _, key, _ in dark))
        yield finding(
            "black",
            f"{counted(len(dark), 'picture')} with no value above {top}, of 255: black to the network",
            f"if they are {'masks' if top == 1 else 'class ids'}, set {sections} kind {kind}",
            [_item(pair, key) for pair, key, _ in dark],
        )
    faint = [(pair, key) for pair, key, look in others if look.high - look.low <= _FAINT and look.top > _DARK]
    if faint:
        yield finding(
            "almost-constant",
            f"{counted(len(faint), 'picture')} almost of one colour",
            "look whether they are what they should be",
            [_item(*place) for place in faint],
        )


def _blended(pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    for key, fmt in formats.parts.items():
        looks, section = [pair.looks[key] for pair in pairs], f"data.{key.partition('_')[0]}_format"
        if fmt.kind == "labels":
            blended = [pair for pair in pairs if pair.looks[key].blended]
            remedy = (
                "each pixel counts as the nearest colour of the palette, wrong at edges; save labels as PNG"
                if fmt.snap
                else f"save labels as PNG, or give {section} a palette to snap to"
            )
        else:
            many = fmt.kind == "image" and few_colours(looks)
            blended = [pair for pair in pairs if many and pair.looks[key].colours > _MANY_COLOURS]
            remedy = f"fine as images; as labels, set {section} kind labels and a palette to snap to"
        if blended:
            yield finding(
                "blended-labels",
                f"{counted(len(blended), key)} of a few flat colours with blended ones between, as JPEG or resizing "
                "makes them",
                remedy,
                [_item(pair, key) for pair in blended],
                "warning" if fmt.kind == "labels" else None,
            )


def _wish(data: DataConfig, key: str) -> tuple[str, ImageFormatConfig]:
    """`input` or `target`, and what the config says of it."""
    side = key.partition("_")[0]
    return side, data.target_format if side == "target" else data.input_format


def _few(data: DataConfig, pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    """Of images whose channels a few files decide for all, where no config does."""
    for key, fmt in formats.parts.items():
        if fmt.kind != "image" or _wish(data, key)[1].channels != "auto" or fmt.channels not in _CHANNELS:
            continue
        for what, having in (("alpha", (2, 4)), ("colours", (3, 4))):
            few = [pair for pair in pairs if pair.stored[key][0] in having]
            if fmt.channels in having and 0 < 2 * len(few) < len(pairs):
                have = f"{'has' if len(few) == 1 else 'have'} {what}"
                yield finding(
                    "few-decide",
                    f"{len(few):,} of {counted(len(pairs), key)} {have}; all become {_CHANNELS[fmt.channels]}",
                    "if that is not meant, save them as the others are",
                    [_item(pair, key) for pair in few],
                )


def _gaps(data: DataConfig, pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    """Of labels whose highest id makes many classes, most of which are never seen, where no config asks for them."""
    for key, fmt in formats.parts.items():
        side, wish = _wish(data, key)
        if fmt.kind != "labels" or wish.classes is not None or fmt.snap:
            continue
        is_seen = np.zeros(2**16, bool)
        for pair in pairs:
            is_seen[pair.looks[key].ids] = True
        ids = np.flatnonzero(is_seen).tolist()
        most = max(ids, default=-1) + 1
        if 2 * len(ids) < most and most - len(ids) >= _GAPS:
            is_mask = ids == [0, 255]
            section = f"data.{side}_format"
            yield finding(
                "label-gaps",
                f"{key} labels of {fmt.classes} classes, {len(ids)} seen: {first_ten(ids)}",
                f"set {section} kind mask" if is_mask else f"renumber them from 0 on, or set {section} palette",
            )
