"""What is said of files: that no split can be found in them, that they lie in no pair, that they cannot be read."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from pix2pix.check.findings import Finding, Item, counted, finding
from pix2pix.check.stats import PairStats
from pix2pix.data.discovery.sources import Unmatched

_Place = TypeVar("_Place", bound=Hashable)


def layout_finding(error: object, severity: str = "error", code: str = "layout") -> Finding:
    """What keeps a split from being found or read, as its DataError says it."""
    message, _, remedy = str(error).rpartition("; ")
    return finding(code, message or remedy, remedy if message else "", severity=severity)


def beside_findings(beside: dict[str, Unmatched], used: Sequence[str]) -> Iterator[Finding]:
    """Of the pictures that are in no pair of each split."""

    def places(kind: str) -> dict[_Place, set[str]]:
        return _splits((place, split) for split, found in beside.items() for place in getattr(found, kind))

    if unpaired := places("unpaired"):
        yield finding(
            "unmatched",
            f"{counted(len(unpaired), 'picture')} without a partner of the same name",
            "add the partners, or remove the pictures",
            [Item((str(path),)) for path in unpaired],
            _severity(unpaired, used),
        )
    if missing := places("missing"):  # an error wherever it is: a manifest is read as a whole
        yield finding(
            "missing",
            f"{counted(len(missing), 'file')} that the manifest lists and that are not there",
            "add the files, or remove the lines; paths are relative to the manifest's folder",
            [Item((str(path),), place) for place, path in missing],
        )
    if name_clashes := places("name_clashes"):
        yield finding(
            "same-name",
            f"{counted(len(name_clashes), 'picture')} with the name of another, so that a partner cannot be told",
            "rename or remove one of each",
            [Item(tuple(map(str, couple))) for couple in name_clashes],
            _severity(name_clashes, used),
        )


def broken(pairs: Sequence[PairStats], used: Sequence[str]) -> Iterator[Finding]:
    """Of the files that keep pairs from being read."""
    texts = {
        "unreadable": ("file", "cannot be read", "replace or remove it, and its partner"),
        "unequal-size": ("pair", "of pictures that differ in size", "resize, crop or turn one to fit, or remove both"),
        "format": ("file", "that cannot be taken as the others are", "convert it, or remove it and its partner"),
        "label-ids": ("file", "of labels with what is no class", "mend it, or say what it is in the config"),
        "mask-values": ("file", "of a mask with what is neither 0 nor 1", "cut it at a threshold and save it as PNG"),
        "no-halves": ("file", "without two halves of one width", "make each A and B side by side, or remove it"),
    }
    for code, (what, how, remedy) in texts.items():
        places = _splits(
            ((file, why), pair.split) for pair in pairs for kind, file, why in pair.problems if kind == code
        )
        if places:
            items = [Item((file,), why) for file, why in places]
            yield finding(code, f"{counted(len(items), what)} {how}", remedy, items, _severity(places, used))


def _splits(places: Iterable[tuple[_Place, str]]) -> dict[_Place, set[str]]:
    """The splits that each place is in: a file may be listed in several."""
    found: dict[_Place, set[str]] = {}
    for place, split in places:
        found.setdefault(place, set()).add(split)
    return found


def _severity(places: dict[_Place, set[str]], used: Sequence[str]) -> str:
    """Training fails over what it reads; the rest can wait."""
    return "error" if set().union(*places.values()) & set(used) else "warning"
