"""Decide from the files of one side whether they are images, labels or masks, or whether the user must decide.

The rule is in docs/your-own-pairs.md, under "How the kind is inferred".
"""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from pix2pix.config.data import Kind
from pix2pix.data.formats.content import BLACK, FEW, WHITE, Colour, Content

VOID = 255  # the id that published label maps give to pixels of no class
_FLAT = 0.5  # share of pixels that equal their neighbour: label maps have 0.8 and more, dithered images less than 0.3
_SURE = 0.9  # share of the files that must have few values
_LINES, _AREAS = 0.9, 0.6  # share of a drawing that is lines: above it is an edge map, below a mask
_DARK = 31  # ids up to this look black
_MOST_COLOURS = 256  # classes of a colour table that is inferred from files


@dataclass(frozen=True)
class Decision:
    """The kind of one side, and the reason.

    `kind` is None if two kinds, the `choices`, are possible. `why` completes the sentence "the targets are labels:
    ..."; it is empty for ordinary images such as photographs. `by_colour`: whether the colours rather than the ids are
    the classes.
    """

    kind: Kind | None
    why: str = ""
    choices: tuple[Kind, Kind] = ("image", "labels")
    by_colour: bool = False


IMAGE = Decision("image")


def decide_kind(contents: Sequence[Content], is_target: bool, lossy: int = 0) -> Decision:
    """Return the kind of files with these contents; `lossy` is the number of JPEG files, which are not among them."""
    varied = [content for content in contents if content.count > 1]
    few = [content for content in varied if content.few]
    if any(content.storage == "numbers" and content.values for content in contents):
        dtypes = " and ".join(sorted({content.dtype for content in contents}))
        return Decision("mask" if dtypes == "bool" else "labels", f"numbers of {dtypes}")
    if not varied or 2 * len(few) < len(varied):
        return IMAGE
    decision = _decide_few(contents, few, is_target)
    if lossy:
        why = f"{lossy} of {lossy + len(contents)} sampled files are JPEG, and the others have few values"
        return Decision(None, why) if decision.kind != "image" else IMAGE
    if len(few) < _SURE * len(varied) and decision.kind != "image":
        return Decision(None, f"{len(few)} of {len(varied)} sampled files have at most {FEW} values, the others more")
    return decision


def _decide_few(contents: Sequence[Content], few: Sequence[Content], is_target: bool) -> Decision:
    """Decide for a side of which all or most files have few values; these are `few`."""
    known = [content for content in contents if content.few]
    colours = {colour for content in known for colour in content.colours}
    values = frozenset[int]().union(*(content.values for content in known))
    storages = {content.storage for content in known}
    suffixes = " and ".join(sorted({content.suffix.lstrip(".").upper() for content in known}))
    if colours == {BLACK, WHITE} and not (storages == {"palette"} and len(values) > 2):
        return _decide_binary(few, is_target)
    if "other" in storages:
        return IMAGE
    if storages == {"grey"}:
        if values == {0, 1}:
            return Decision("mask", "only 0 and 1")
        return _decide_grey(few, values, suffixes)
    if storages == {"palette"} and _one_palette(known):
        if not _is_flat(few):
            return Decision(None, f"{len(values)} palette colours, mixed like those of a dithered image")
        return _labels(values, f"in palette {suffixes} files")
    return _decide_colours(few, colours, suffixes)


def _is_flat(contents: Sequence[Content]) -> bool:
    return bool(np.median([content.flat for content in contents]) >= _FLAT)


def _decide_binary(few: Sequence[Content], is_target: bool) -> Decision:
    """Decide for black and white files: targets are masks; inputs are masks or edge maps, which count as images."""
    if is_target:
        return Decision("mask", "only black and white")
    thin = float(np.median([content.thin for content in few]))
    if thin >= _LINES:
        return Decision("image", "black and white lines, as edge maps have", ("image", "mask"))
    if thin <= _AREAS:
        return Decision("mask", "black and white areas")
    return Decision(None, "only black and white, in lines and areas", ("image", "mask"))


def _decide_grey(few: Sequence[Content], values: frozenset[int], suffixes: str) -> Decision:
    """Decide for grey files: values that are small, or dense from 0, are ids; 255 next to them is void."""
    top = max(values - {VOID})
    close = top <= _DARK or 2 * len(values) >= top + 1
    if not close or not _is_flat(few) or any(content.shades for content in few) or min(values) < 0:
        return Decision(None, f"{len(values)} grey values from {min(values)} to {max(values)} in {suffixes} files")
    return _labels(values, f"in grey {suffixes} files")


def _labels(values: frozenset[int], where: str) -> Decision:
    count = len(values) - has_void(values)
    return Decision("labels", f"{count} ids {where}")


def has_void(ids: Set[int]) -> bool:
    """Return whether 255 means no class: published label maps use it so, far above their other ids."""
    return VOID in ids and max(ids - {VOID}, default=VOID) < VOID - 1


def _one_palette(contents: Sequence[Content]) -> bool:
    """Return whether every id has one colour in all files."""
    pairs = {pair for content in contents for pair in content.names}
    return len(pairs) == len({index for index, _ in pairs})


def _decide_colours(few: Sequence[Content], colours: set[Colour], suffixes: str) -> Decision:
    """Decide for colour files: colours are classes if the files share them."""
    seen = Counter(colour for content in few for colour in set(content.colours))
    shared = sum(count > 1 for count in seen.values()) / max(len(seen), 1)
    why = f"{len(colours)} exact colours in {suffixes} files"
    if len(colours) > _MOST_COLOURS or (len(few) > 1 and shared < _FLAT):
        return IMAGE if len(colours) > FEW else Decision(None, f"{why}, few of which occur in two files")
    if _is_flat(few):
        return Decision("labels", why, by_colour=True)
    return Decision(None, f"{why}, mixed like those of a dithered image")
