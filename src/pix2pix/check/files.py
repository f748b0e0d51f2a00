"""Findings about files: splits that cannot be found, images without a partner, files that cannot be used."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from pix2pix.check.findings import Finding, Item, finding
from pix2pix.check.stats import PairStats
from pix2pix.data.discovery.folders import CONVERT, show_counts
from pix2pix.data.discovery.pairing import Unmatched
from pix2pix.errors import DataError
from pix2pix.text import counted

_Subject = TypeVar("_Subject", bound=Hashable)

_PROBLEMS = {  # by code: the unit that is counted, the problem, and the remedy
    "unreadable": ("file", "that cannot be read", "replace or remove it, and its partner"),
    "unequal-size": ("pair", "of images that differ in size", "resize, crop or turn one to fit, or remove both"),
    "format": ("file", "whose format differs from the others", "convert it, or remove it and its partner"),
    "label-ids": ("file", "of labels with ids or colours of no class", "fix it, or set the classes in the config"),
    "mask-values": ("file", "of a mask with values other than 0 and 1", "apply a threshold and save it as PNG"),
    "no-halves": ("file", "without two halves of one width", "make each A and B side by side, or remove it"),
}


def layout_finding(error: DataError, severity: str = "error", code: str = "layout") -> Finding:
    """Return the finding about a split that cannot be found or read."""
    message = error.reason if error.path is None else f"{error.path}: {error.reason}"
    return finding(code, message, error.remedy, severity=severity)


def unmatched_findings(unmatched: dict[str, Unmatched], used: Sequence[str]) -> Iterator[Finding]:
    """Report the images of each split that belong to no pair."""
    unpaired = _splits((path, split) for split, images in unmatched.items() for path in images.unpaired)
    skipped = all(images.is_skipped for images in unmatched.values() if images.unpaired)
    if unpaired:
        yield finding(
            "unmatched",
            f"{counted(len(unpaired), 'image')} without a partner" + (", skipped as data.unmatched says" * skipped),
            "add the partners to use them" if skipped else "add or remove them, or set data.unmatched to skip",
            [Item((str(path),)) for path in unpaired],
            "note" if skipped else _severity(unpaired, used),
        )
    missing = _splits((line, split) for split, images in unmatched.items() for line in images.missing)
    if missing:  # an error in any split: a manifest is read as a whole
        yield finding(
            "missing",
            f"{counted(len(missing), 'file')} that the manifest lists and that do not exist",
            "add the files, or remove the lines; paths are relative to the manifest's folder",
            [Item((str(path),), line) for line, path in missing],
        )
    clashes = _splits((couple, split) for split, images in unmatched.items() for couple in images.name_clashes)
    if clashes:
        yield finding(
            "same-name",
            f"{counted(len(clashes), 'image')} with the same name as another, so that the partner is unclear",
            "rename or remove one of each",
            [Item(tuple(map(str, couple))) for couple in clashes],
            _severity(clashes, used),
        )


def problem_findings(pairs: Sequence[PairStats], used: Sequence[str]) -> Iterator[Finding]:
    """Report the files that make pairs unusable."""
    for code, (what, how, remedy) in _PROBLEMS.items():
        files = _splits(
            ((problem.file, problem.detail), pair.split)
            for pair in pairs
            for problem in pair.problems
            if problem.code == code
        )
        if files:
            items = [Item((file,), detail) for file, detail in files]
            yield finding(code, f"{counted(len(items), what)} {how}", remedy, items, _severity(files, used))


def other_files(source: str, counts: dict[str, int]) -> Iterator[Finding]:
    """Report files that are not images, by suffix."""
    if counts:
        yield finding("other-files", f"skipped in {source}: {show_counts(counts)}", CONVERT)


def _splits(files: Iterable[tuple[_Subject, str]]) -> dict[_Subject, set[str]]:
    """Collect the splits of each file or group of files, which may be listed in several."""
    splits: dict[_Subject, set[str]] = {}
    for file, split in files:
        splits.setdefault(file, set()).add(split)
    return splits


def _severity(splits: dict[_Subject, set[str]], used: Sequence[str]) -> str:
    """Return `error` where training reads one of the splits, else `warning`."""
    return "error" if set().union(*splits.values()) & set(used) else "warning"
