"""From what pictures hold to what is said about the data set."""

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np

from pix2pix.check.between import duplicates, few_colours, leaks, near_leaks, swapped
from pix2pix.check.files import broken
from pix2pix.check.findings import Finding, Item, counted, finding
from pix2pix.check.look import Look, Seen
from pix2pix.check.registration import common_offset
from pix2pix.config import DataConfig
from pix2pix.data.folders import first_ten
from pix2pix.data.forms import Forms

_MANY_COLOURS = 64  # in a sample of a flat picture: labels have few, and what JPEG or resizing makes of them many
_DARK = 31  # the highest value in a picture that comes out black
_FAINT = 8  # the range of grey in a picture that is almost of one colour
_SMALLEST = 48  # pixels a side that edges can be told in
_ODD_SIZE = 3  # times as long or as short as is usual
_FEW = 0.05
_GAPS = 8  # ids that are never seen
_ENDS = (("_a", "_b"), ("_input", "_target"))


def pair_findings(data: DataConfig, pairs: Sequence[Seen], used: Sequence[str], forms: Forms) -> list[Finding]:
    """Of all pairs that were seen as `forms` say; `used` are the splits that training reads."""
    good = [pair for pair in pairs if pair.looks]
    found = [*broken(pairs, () if data.skip_broken else used), *_copies(good), *_wrong_way(good), *_offsets(good)]
    return [
        *found,
        *_values(good, forms),
        *_blended(good, forms),
        *_gaps(data, good, forms),
        *_halves(good),
        *_sizes(data, good),
        *_headers(good),
    ]


def _names(*pairs: Seen) -> tuple[str, ...]:
    """What a person looks for: the first file of each, or the name of a drawn pair."""
    return tuple(pair.files[0] if pair.files else pair.name for pair in pairs)


def _copies(pairs: Sequence[Seen]) -> Iterator[Finding]:
    same = duplicates(pairs)
    if same:
        yield finding(
            "duplicate",
            f"{counted(len(same), 'pair')} that equal another of the same split",
            "remove all but one: copies count double in training",
            [Item(_names(*couple)) for couple in same],
        )
    remedy = "remove it from one: results on pictures that were trained on say nothing"
    shared = leaks(pairs)
    if shared:
        yield finding(
            "leak",
            f"{counted(len(shared), 'picture')} in two splits",
            remedy,
            [Item(_names(*couple), f"the same {side}") for *couple, side in shared],
        )
    known = {id(one) for one, _, _ in shared}
    near = near_leaks([pair for pair in pairs if id(pair) not in known])
    if near:
        yield finding(
            "near-duplicate",
            f"{counted(len(near), 'pair')} almost equal to one of another split",
            remedy,
            [Item(_names(*couple)) for couple in near],
        )


def _wrong_way(pairs: Sequence[Seen]) -> Iterator[Finding]:
    found = swapped(pairs)
    if found:
        yield finding(
            "swapped",
            f"{counted(len(found), 'pair')} whose input looks like the others' targets, and whose target like inputs",
            "swap their two sides",
            [Item(_names(pair)) for pair in found],
        )


def _offsets(pairs: Sequence[Seen]) -> Iterator[Finding]:
    pairs = [pair for pair in pairs if min(pair.input.size) >= _SMALLEST]
    whole = common_offset([pair.offset for pair in pairs])
    if whole is not None:
        height, width = (median(pair.input.size[axis] for pair in pairs) for axis in (0, 1))
        yield finding(
            "offset",
            f"all targets lie beside their inputs, {_shift(*whole, height, width)}",
            "move one side back, or crop both to what they share",
        )
        return
    wrong = [pair for pair in pairs if pair.offset.is_wrong]
    if wrong:
        yield finding(
            "misregistered",
            f"{counted(len(wrong), 'pair')} whose pictures do not lie on each other",
            "move one picture back, or remove the pair",
            [Item(_names(pair), _shift(pair.offset.down, pair.offset.right, *pair.input.size)) for pair in wrong],
        )


def _shift(down: float, right: float, height: float, width: float) -> str:
    """Where a target lies, in pixels, given how far it must be moved to be right."""
    rows, columns = round(-down * height), round(-right * width)
    words = [f"{counted(abs(rows), 'pixel')} too {'low' if rows > 0 else 'high'}"] if rows else []
    words += [f"{counted(abs(columns), 'pixel')} too far {'right' if columns > 0 else 'left'}"] if columns else []
    return " and ".join(words)


def _each(pairs: Sequence[Seen]) -> Iterator[tuple[Seen, str, Look]]:
    for pair in pairs:
        for key, look in pair.looks.items():
            yield pair, key, look


def _item(pair: Seen, key: str) -> Item:
    """One picture of a pair: its file, or its pair's with the side named."""
    if len(pair.files) > 1:
        return Item((pair.files[list(pair.looks).index(key)],))
    return Item(_names(pair), key)


def _values(pairs: Sequence[Seen], forms: Forms) -> Iterator[Finding]:
    kinds = {key: form.kind for key, form in forms.parts.items()}
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


def _blended(pairs: Sequence[Seen], forms: Forms) -> Iterator[Finding]:
    for key, form in forms.parts.items():
        looks, section = [pair.looks[key] for pair in pairs], f"data.{key.partition('_')[0]}_format"
        if form.kind == "labels":
            blended = [pair for pair in pairs if pair.looks[key].blended]
            remedy = (
                "each pixel counts as the nearest colour of the palette, wrong at edges; save labels as PNG"
                if form.snap
                else f"save labels as PNG, or give {section} a palette to snap to"
            )
        else:
            many = form.kind == "image" and few_colours(looks)
            blended = [pair for pair in pairs if many and pair.looks[key].colours > _MANY_COLOURS]
            remedy = f"fine as images; as labels, set {section} kind labels and a palette to snap to"
        if blended:
            yield finding(
                "blended-labels",
                f"{counted(len(blended), key)} of a few flat colours with blended ones between, as JPEG or resizing "
                "makes them",
                remedy,
                [_item(pair, key) for pair in blended],
                "warning" if form.kind == "labels" else None,
            )


def _gaps(data: DataConfig, pairs: Sequence[Seen], forms: Forms) -> Iterator[Finding]:
    """Of labels whose highest id makes many classes, most of which are never seen, where no config asks for them."""
    for key, form in forms.parts.items():
        side = key.partition("_")[0]
        wish = data.target_format if side == "target" else data.input_format
        if form.kind != "labels" or wish.classes is not None or form.snap:
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
                f"{key} labels of {form.classes} classes, {len(ids)} seen: {first_ten(ids)}",
                f"set {section} kind mask" if is_mask else f"renumber them from 0 on, or set {section} palette",
            )


def _halves(pairs: Sequence[Seen]) -> Iterator[Finding]:
    """Of single pictures that were taken for two side by side."""
    single = [pair for pair in pairs if len(pair.files) == 1]
    tall = [pair for pair in single if pair.input.size[0] >= 2 * pair.input.size[1]]
    names = {(pair.split, pair.name.lower()) for pair in single}
    sides = [pair for pair in single if {(pair.split, name) for name in _partners(pair.name.lower())} & names]
    for found, what in (
        (sides, "of one pair by their names, but cut into two halves each"),
        (tall, "whose halves, taken for A and B, are at least twice as tall as wide"),
    ):
        if 2 * len(found) > len(single):
            yield finding(
                "halves",
                f"{counted(len(found), 'picture')} {what}",
                "if each is one picture, put A and B into two folders a and b, of one name each",
                [Item(_names(pair)) for pair in found],
            )
            return


def _partners(name: str) -> list[str]:
    """What the other side of a pair is called, where a name ends with its side."""
    ends = [end for couple in _ENDS for end in (couple, couple[::-1])]
    return [name.removesuffix(mine) + other for mine, other in ends if name.endswith(mine)]


def _headers(pairs: Sequence[Seen]) -> Iterator[Finding]:
    turned = [file for pair in pairs for file in pair.turned if _hides_a_turn(pair)]
    if turned:
        yield finding(
            "turned",
            f"{counted(len(turned), 'picture')} that EXIF turns while it leaves the partner",
            "look at the sheet; where they do not fit, remove the EXIF orientation or turn the partner",
            [Item((file,)) for file in turned],
        )
    moving = [file for pair in pairs for file in dict.fromkeys(pair.moving)]
    if moving:
        yield finding(
            "animated",
            f"{counted(len(moving), 'file')} of several frames, of which the first is used",
            "save the frames that you mean as files of their own",
            [Item((file,)) for file in moving],
        )


def _hides_a_turn(pair: Seen) -> bool:
    """Whether a turn leaves no trace in the size; a quarter of any other would have been noticed."""
    height, width = pair.input.size
    return bool(pair.turned) and height == width


def _sizes(data: DataConfig, pairs: Sequence[Seen]) -> Iterator[Finding]:
    if not pairs:
        return
    usual = [median(pair.input.size[axis] for pair in pairs) for axis in (0, 1)]
    odd = [
        pair
        for pair in pairs
        if any(
            side > _ODD_SIZE * want or side * _ODD_SIZE < want
            for side, want in zip(pair.input.size, usual, strict=True)
        )
    ]
    if odd and len(odd) <= max(1, _FEW * len(pairs)) and len(pairs) > 5:
        yield finding(
            "odd-size",
            f"{counted(len(odd), 'pair')} of quite another size than the rest, usually {_by(usual)}",
            "look whether they belong there",
            [Item(_names(pair), _by(pair.input.size)) for pair in odd],
        )
    need = data.load or data.crop
    small = [pair for pair in pairs if any(have < want for have, want in zip(pair.input.size, need, strict=True))]
    if small:
        what = "load_size" if data.load else "image_size"
        effect = "enlarged, and so blurred" if data.load else "continued by reflection"
        yield finding(
            "small",
            f"{counted(len(small), 'pair')} smaller than {what} {_by(need)}: {effect}",
            f"fine for a little, as 286 for 256 in the paper; else choose a smaller {what}",
            [Item(_names(pair), _by(pair.input.size)) for pair in small],
        )


def _by(size: Sequence[float]) -> str:
    """Height x width, as the config has them."""
    return "x".join(f"{side:g}" for side in size)
