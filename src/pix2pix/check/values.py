"""Findings about the values in images: too few, too dark, too many colours, or ids with gaps."""

from collections.abc import Iterator, Sequence

import numpy as np

from pix2pix.check.cross_pair import few_colours
from pix2pix.check.findings import Finding, Item, finding
from pix2pix.check.palettes import known_palette
from pix2pix.check.stats import SATURATION, ImageStats, PairStats
from pix2pix.config import DataConfig, ImageFormatConfig
from pix2pix.data.discovery.folders import first_ten
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.text import counted

_MANY_COLOURS = 64  # in a sample of a flat image: labels have few colours, and JPEG or resizing adds many
_EXACT = 0.8  # share of 32 exact greys: smooth images have 0.3 to 0.7
_DARK = 31  # the highest value of an image that looks black
_FAINT = 8  # the range of grey of an image that is almost of one colour
_CHANNELS = {2: "grey with alpha", 3: "RGB", 4: "RGBA"}
_GAPS = 8  # the fewest unused ids that are reported


def value_findings(data: DataConfig, pairs: Sequence[PairStats], formats: PairFormat) -> list[Finding]:
    """Report on pairs that could be read in `formats`."""
    return [
        *_uniform(pairs, formats),
        *_blended(pairs, formats),
        *_known_colours(pairs, formats),
        *_gaps(data, pairs, formats),
        *_few_decide(data, pairs, formats),
    ]


def names(*pairs: PairStats) -> tuple[str, ...]:
    """Return the first file of each pair, or the name of a drawn pair."""
    return tuple(pair.files[0] if pair.files else pair.name for pair in pairs)


def _each(pairs: Sequence[PairStats]) -> Iterator[tuple[PairStats, str, ImageStats]]:
    for pair in pairs:
        for key, image in pair.images.items():
            yield pair, key, image


def _item(pair: PairStats, key: str) -> Item:
    """Name one image of a pair: by its file, or by the file of the pair and the key."""
    if len(pair.files) > 1:
        return Item((pair.files[list(pair.images).index(key)],))
    return Item(names(pair), key)


def _section(key: str) -> str:
    """Return the section of the config that describes an image of a pair."""
    return "data.target_format" if key == "target" else "data.input_format"


def _configured(data: DataConfig, key: str) -> ImageFormatConfig:
    return data.target_format if key == "target" else data.input_format


def _uniform(pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    """Report images of one colour, black ones and almost uniform ones."""
    kinds = {key: fmt.kind for key, fmt in formats.parts.items()}
    constant = [(pair, key) for pair, key, image in _each(pairs) if image.one_colour]
    if constant:
        yield finding(
            "constant",
            f"{counted(len(constant), 'image')} of one colour",
            "remove the pairs, unless an empty image is intended",
            [_item(*image_key) for image_key in constant],
            "warning" if any(kinds[key] == "image" for _, key in constant) else "note",
        )
    others = [(pair, key, image) for pair, key, image in _each(pairs) if kinds[key] == "image" and not image.one_colour]
    dark = [(pair, key, image.top) for pair, key, image in others if image.top <= _DARK]
    if dark:
        top = max(top for *_, top in dark)
        what, kind = ("masks", "mask") if top == 1 else ("class ids", "labels")
        sections = " and ".join(dict.fromkeys(_section(key) for _, key, _ in dark))
        yield finding(
            "black",
            f"{counted(len(dark), 'image')} with no value above {top} of 255, which the network sees as black",
            f"if they are {what}, set {sections} kind {kind}",
            [_item(pair, key) for pair, key, _ in dark],
        )
    faint = [(pair, key) for pair, key, image in others if image.high - image.low <= _FAINT and image.top > _DARK]
    if faint:
        yield finding(
            "almost-constant",
            f"{counted(len(faint), 'image')} almost of one colour",
            "check whether they belong to the data set",
            [_item(*image_key) for image_key in faint],
        )


def _blended(pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    """Report labels with colours between those of the classes, and images that seem to be such labels."""
    for key, fmt in formats.parts.items():
        section = _section(key)
        if fmt.kind == "labels":
            blended = [pair for pair in pairs if pair.images[key].blended]
            if fmt.snap:
                remedy = "each pixel gets the nearest colour of the palette, wrong at edges; save labels as PNG"
            else:
                remedy = f"save labels as PNG, or give {section} a palette to snap to"
        elif fmt.kind == "image" and _few_values([pair.images[key] for pair in pairs]):
            blended = [pair for pair in pairs if pair.images[key].colours > _MANY_COLOURS]
            remedy = f"fine as images; to read them as labels, set {section} kind labels and a palette to snap to"
        else:
            continue
        if blended:
            yield finding(
                "blended-labels",
                f"{counted(len(blended), key)} of a few flat colours with mixtures between them, as JPEG or resizing "
                "makes them",
                remedy,
                [_item(pair, key) for pair in blended],
                "warning" if fmt.kind == "labels" else None,
            )


def _few_values(images: Sequence[ImageStats]) -> bool:
    """Return whether images have few values. The few rough greys of any smooth grey image are not enough."""
    is_grey = all(image.traits[SATURATION] == 0 for image in images)
    return few_colours(images) and (not is_grey or bool(np.median([one.exact_share for one in images]) >= _EXACT))


def _known_colours(pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    """Report images with the label colours of a published data set; drawn pairs are left out."""
    in_files = [pair for pair in pairs if pair.files]
    for key, fmt in formats.parts.items():
        known = known_palette([pair.images[key] for pair in in_files]) if fmt.kind == "image" else None
        if known is not None:
            yield finding(
                "known-colours",
                f"{counted(len(in_files), key)} with the label colours of {known}",
                f"fine as images; to read them as labels, set {_section(key)} kind labels and the palette under "
                '"Label colours of published data sets" in docs/your-own-pairs.md',
                [_item(pair, key) for pair in in_files],
            )


def _few_decide(data: DataConfig, pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    """Report a minority of files whose alpha or colours determine the number of channels of all files."""
    for key, fmt in formats.parts.items():
        if fmt.kind != "image" or _configured(data, key).channels != "auto" or fmt.channels not in _CHANNELS:
            continue
        for what, having in (("alpha", (2, 4)), ("colours", (3, 4))):
            few = [pair for pair in pairs if pair.stored[key][0] in having]
            if fmt.channels in having and 0 < 2 * len(few) < len(pairs):
                have = f"{'has' if len(few) == 1 else 'have'} {what}"
                yield finding(
                    "few-decide",
                    f"{len(few):,} of {counted(len(pairs), key)} {have}; all become {_CHANNELS[fmt.channels]}",
                    "if that is not intended, save them like the others",
                    [_item(pair, key) for pair in few],
                )


def _gaps(data: DataConfig, pairs: Sequence[PairStats], formats: PairFormat) -> Iterator[Finding]:
    """Report labels with many unused ids below the highest one, unless the config sets the number of classes."""
    for key, fmt in formats.parts.items():
        if fmt.kind != "labels" or _configured(data, key).classes is not None or fmt.snap:
            continue
        occurs = np.zeros(2**16, bool)
        for pair in pairs:
            occurs[pair.images[key].ids] = True
        if fmt.ignore is not None:
            occurs[fmt.ignore] = False
        ids = np.flatnonzero(occurs).tolist()
        count = max(ids, default=-1) + 1
        if 2 * len(ids) < count and count - len(ids) >= _GAPS:
            section = _section(key)
            is_mask = ids == [0, 255]
            yield finding(
                "label-gaps",
                f"{key} labels of {fmt.classes} classes, {len(ids)} of which occur: {first_ten(ids)}",
                f"set {section} kind mask" if is_mask else f"number them from 0 without gaps, or set {section} palette",
            )
