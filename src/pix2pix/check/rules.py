"""Rules that derive findings about the data set from the statistics of its pairs."""

from collections.abc import Iterator, Sequence
from statistics import median

from pix2pix.check.cross_pair import duplicates, leaks, near_leaks, swapped
from pix2pix.check.files import problem_findings
from pix2pix.check.findings import Finding, Item, finding
from pix2pix.check.registration import common_offset
from pix2pix.check.stats import PairStats
from pix2pix.check.values import names, value_findings
from pix2pix.config import DataConfig
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.text import counted

_ODD_SIZE = 3  # a side this many times as long or as short as usual is odd
_FEW = 0.05
_SUFFIXES = (("_a", "_b"), ("_input", "_target"))


def pair_findings(
    data: DataConfig, pairs: Sequence[PairStats], used: Sequence[str], formats: PairFormat
) -> list[Finding]:
    """Report on all pairs, which were read in `formats`; `used` are the splits that training reads."""
    good = [pair for pair in pairs if pair.images]
    return [
        *problem_findings(pairs, () if data.skip_broken else used),
        *_copies(good),
        *_swapped(good),
        *_offsets(good),
        *value_findings(data, good, formats),
        *_halves(good),
        *_odd_sizes(good),
        *_small(data, good),
        *_turned(good),
        *_animated(good),
    ]


def _copies(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    same = duplicates(pairs)
    if same:
        yield finding(
            "duplicate",
            f"{counted(len(same), 'pair')} equal to another of the same split",
            "remove all but one: copies count twice in training",
            [Item(names(*couple)) for couple in same],
        )
    remedy = "remove it from one: results on images that were trained on are meaningless"
    shared = leaks(pairs)
    if shared:
        yield finding(
            "leak",
            f"{counted(len(shared), 'image')} in two splits",
            remedy,
            [Item(names(pair, other), f"the same {side}") for pair, other, side in shared],
        )
    leaked = {id(pair) for pair, _, _ in shared}
    near = near_leaks([pair for pair in pairs if id(pair) not in leaked])
    if near:
        yield finding(
            "near-duplicate",
            f"{counted(len(near), 'pair')} almost equal to one of another split",
            remedy,
            [Item(names(*couple)) for couple in near],
        )


def _swapped(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    exchanged = swapped(pairs)
    if exchanged:
        yield finding(
            "swapped",
            f"{counted(len(exchanged), 'pair')} whose input looks like the other targets, and whose target like the "
            "inputs",
            "exchange input and target",
            [Item(names(pair)) for pair in exchanged],
        )


def _offsets(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    measured = [(pair, pair.offset) for pair in pairs if pair.offset is not None]
    common = common_offset([offset for _, offset in measured])
    if common is not None:
        height, width = (median(pair.input.size[axis] for pair, _ in measured) for axis in (0, 1))
        yield finding(
            "offset",
            f"all targets are shifted, {_shift(*common, height, width)}",
            "move the inputs or the targets back, or crop both to what they share",
        )
        return
    wrong = [(pair, offset) for pair, offset in measured if offset.is_wrong]
    if wrong:
        yield finding(
            "misregistered",
            f"{counted(len(wrong), 'pair')} whose images are not aligned",
            "move one image back, or remove the pair",
            [Item(names(pair), _shift(offset.down, offset.right, *pair.input.size)) for pair, offset in wrong],
        )


def _shift(down: float, right: float, height: float, width: float) -> str:
    """Describe in pixels how a target is shifted, given how far it must be moved to be aligned."""
    rows, columns = round(-down * height), round(-right * width)
    words = []
    if rows:
        words.append(f"{counted(abs(rows), 'pixel')} too {'low' if rows > 0 else 'high'}")
    if columns:
        words.append(f"{counted(abs(columns), 'pixel')} too far {'right' if columns > 0 else 'left'}")
    return " and ".join(words)


def _halves(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    """Report single images that were taken for two side by side."""
    single = [pair for pair in pairs if len(pair.files) == 1]
    tall = [pair for pair in single if pair.input.size[0] >= 2 * pair.input.size[1]]
    known = {(pair.split, pair.name.lower()) for pair in single}
    sides = [pair for pair in single if {(pair.split, name) for name in _partners(pair.name.lower())} & known]
    for images, what in (
        (sides, "that form pairs by their names, but are each cut into two halves"),
        (tall, "whose halves, taken for A and B, are at least twice as tall as wide"),
    ):
        if 2 * len(images) > len(single):
            yield finding(
                "halves",
                f"{counted(len(images), 'image')} {what}",
                "if each is one image, put A and B into two folders a and b, under the same name",
                [Item(names(pair)) for pair in images],
            )
            return


def _partners(name: str) -> list[str]:
    """Return possible names of the partner of an image whose name ends with `_a`, `_input` and so on."""
    suffixes = [couple for pair in _SUFFIXES for couple in (pair, pair[::-1])]
    return [name.removesuffix(own) + other for own, other in suffixes if name.endswith(own)]


def _turned(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    # Only square images reach this: turning any other makes its size differ from its partner's.
    turned = [file for pair in pairs if pair.input.size[0] == pair.input.size[1] for file in pair.turned]
    if turned:
        yield finding(
            "turned",
            f"{counted(len(turned), 'image')} that EXIF turns, but not the partner",
            "look at the preview; where they do not match, remove the EXIF orientation or turn the partner",
            [Item((file,)) for file in turned],
        )


def _animated(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    animated = [file for pair in pairs for file in dict.fromkeys(pair.animated)]
    if animated:
        yield finding(
            "animated",
            f"{counted(len(animated), 'file')} of several frames, of which only the first is used",
            "save the frames that you want as separate files",
            [Item((file,)) for file in animated],
        )


def _odd_sizes(pairs: Sequence[PairStats]) -> Iterator[Finding]:
    if len(pairs) <= 5:
        return
    usual = [median(pair.input.size[axis] for pair in pairs) for axis in (0, 1)]
    odd = [
        pair
        for pair in pairs
        if any(
            side > _ODD_SIZE * length or side * _ODD_SIZE < length
            for side, length in zip(pair.input.size, usual, strict=True)
        )
    ]
    if odd and len(odd) <= max(1, _FEW * len(pairs)):
        yield finding(
            "odd-size",
            f"{counted(len(odd), 'pair')} of a very different size; the usual one is {_by(usual)}",
            "check whether they belong to the data set",
            [Item(names(pair), _by(pair.input.size)) for pair in odd],
        )


def _small(data: DataConfig, pairs: Sequence[PairStats]) -> Iterator[Finding]:
    need = data.crop if data.load_size == "jitter" else data.load or data.crop  # jitter enlarges a little
    small = [pair for pair in pairs if any(have < want for have, want in zip(pair.input.size, need, strict=True))]
    if small:
        key, effect = ("load_size", "enlarged and blurred") if data.load else ("image_size", "extended by reflection")
        yield finding(
            "small",
            f"{counted(len(small), 'pair')} smaller than {key} {_by(need)}, which will be {effect}",
            f"fine where the difference is small, such as 256 for 286 in the paper; else choose a smaller {key}",
            [Item(names(pair), _by(pair.input.size)) for pair in small],
        )


def _by(size: Sequence[float]) -> str:
    """Return width x height of (height, width)."""
    return f"{size[1]:g}x{size[0]:g}"
