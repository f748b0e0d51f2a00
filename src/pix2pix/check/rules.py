"""From what was seen of each pair to what is said about the data set."""

from collections.abc import Iterator, Sequence
from statistics import median

from pix2pix.check.cross_pair import duplicates, leaks, near_leaks, swapped
from pix2pix.check.files import broken
from pix2pix.check.findings import Finding, Item, counted, finding
from pix2pix.check.registration import common_offset
from pix2pix.check.stats import PairStats
from pix2pix.check.values import names, value_findings
from pix2pix.config import DataConfig
from pix2pix.data.formats.image_format import PairFormat

_ODD_SIZE = 3  # times as long or as short as is usual
_FEW = 0.05
_ENDS = (("_a", "_b"), ("_input", "_target"))


def pair_findings(
    data: DataConfig, pairs: Sequence[PairStats], used: Sequence[str], formats: PairFormat
) -> list[Finding]:
    """Of all pairs that were seen as `forms` say; `used` are the splits that training reads."""
    good = [pair for pair in pairs if pair.looks]
    found = [*broken(pairs, () if data.skip_broken else used), *_copies(good), *_wrong_way(good), *_offsets(good)]
    found += [*value_findings(data, good, formats), *_halves(good), *_sizes(data, good), *_headers(good)]
    return found


def _copies(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    same = duplicates(pairs)
    if same:
        yield finding(
            "duplicate",
            f"{counted(len(same), 'pair')} that equal another of the same split",
            "remove all but one: copies count double in training",
            [Item(names(*couple)) for couple in same],
        )
    remedy = "remove it from one: results on pictures that were trained on say nothing"
    shared = leaks(pairs)
    if shared:
        yield finding(
            "leak",
            f"{counted(len(shared), 'picture')} in two splits",
            remedy,
            [Item(names(*couple), f"the same {side}") for *couple, side in shared],
        )
    known = {id(one) for one, _, _ in shared}
    near = near_leaks([pair for pair in pairs if id(pair) not in known])
    if near:
        yield finding(
            "near-duplicate",
            f"{counted(len(near), 'pair')} almost equal to one of another split",
            remedy,
            [Item(names(*couple)) for couple in near],
        )


def _wrong_way(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    found = swapped(pairs)
    if found:
        yield finding(
            "swapped",
            f"{counted(len(found), 'pair')} whose input looks like the others' targets, and whose target like inputs",
            "swap their two sides",
            [Item(names(pair)) for pair in found],
        )


def _offsets(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    pairs = [pair for pair in pairs if pair.offset is not None]
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
            [Item(names(pair), _shift(pair.offset.down, pair.offset.right, *pair.input.size)) for pair in wrong],
        )


def _shift(down: float, right: float, height: float, width: float) -> str:
    """Where a target lies, in pixels, given how far it must be moved to be right."""
    rows, columns = round(-down * height), round(-right * width)
    words = [f"{counted(abs(rows), 'pixel')} too {'low' if rows > 0 else 'high'}"] if rows else []
    words += [f"{counted(abs(columns), 'pixel')} too far {'right' if columns > 0 else 'left'}"] if columns else []
    return " and ".join(words)


def _halves(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    """Of single pictures that were taken for two side by side."""
    single = [pair for pair in pairs if len(pair.files) == 1]
    tall = [pair for pair in single if pair.input.size[0] >= 2 * pair.input.size[1]]
    known = {(pair.split, pair.name.lower()) for pair in single}
    sides = [pair for pair in single if {(pair.split, name) for name in _partners(pair.name.lower())} & known]
    for found, what in (
        (sides, "of one pair by their names, but cut into two halves each"),
        (tall, "whose halves, taken for A and B, are at least twice as tall as wide"),
    ):
        if 2 * len(found) > len(single):
            yield finding(
                "halves",
                f"{counted(len(found), 'picture')} {what}",
                "if each is one picture, put A and B into two folders a and b, of one name each",
                [Item(names(pair)) for pair in found],
            )
            return


def _partners(name: str) -> list[str]:
    """What the other side of a pair is called, where a name ends with its side."""
    ends = [end for couple in _ENDS for end in (couple, couple[::-1])]
    return [name.removesuffix(mine) + other for mine, other in ends if name.endswith(mine)]


def _headers(pairs: Sequence[PairStats]) -> Iterator[Finding]:
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


def _hides_a_turn(pair: PairStats) -> bool:
    """Whether a turn leaves no trace in the size; a quarter of any other would have been noticed."""
    height, width = pair.input.size
    return bool(pair.turned) and height == width


def _sizes(data: DataConfig, pairs: Sequence[PairStats]) -> Iterator[Finding]:
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
            [Item(names(pair), _by(pair.input.size)) for pair in odd],
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
            [Item(names(pair), _by(pair.input.size)) for pair in small],
        )


def _by(size: Sequence[float]) -> str:
    """Height x width, as the config has them."""
    return "x".join(f"{side:g}" for side in size)
