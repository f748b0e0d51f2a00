"""Pair files by their names, and refuse those without a partner or with several."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pix2pix.data.discovery.folders import Folder, first_ten
from pix2pix.data.discovery.matching import SAME_NAME, Ambiguity, Match, match_sides
from pix2pix.data.discovery.one_folder import match_one_folder
from pix2pix.data.discovery.words import parse_folder_name
from pix2pix.errors import DataError

Files = dict[str, tuple[Path, ...]]


@dataclass
class Unmatched:
    """Images that belong to no pair.

    `unpaired`: images without a partner. `name_clashes`: two images with the same name, of which the second is left
    out. `missing`: (line, path) of each listed file that does not exist.
    `is_skipped`: whether training skips the images without a partner (data.unmatched).
    """

    unpaired: list[Path] = field(default_factory=list)
    name_clashes: list[tuple[Path, Path]] = field(default_factory=list)
    missing: list[tuple[str, Path]] = field(default_factory=list)
    is_skipped: bool = False


@dataclass(frozen=True)
class PairingSettings:
    """How files are paired.

    `skip`: whether images without a partner are skipped (data.unmatched). `unmatched`: records them instead of
    raising DataError. `root`: the folder that patterns are relative to. `exact`: whether names must be the same.
    """

    skip: bool = False
    unmatched: Unmatched | None = None
    root: Path = Path()
    exact: bool = False


@dataclass(frozen=True)
class Paired:
    """The files of pairs by id, in the order of the ids; `rule`: how they were matched; the files without a partner."""

    files: Files
    rule: str
    unpaired: tuple[Path, ...]


@dataclass(frozen=True)
class PairedInOneFolder:
    """Pairs whose files are in one folder, and the pattern of each side; `has_roles` as in a Listing."""

    pairs: Paired
    patterns: tuple[str, str]
    has_roles: bool


def pair_files(
    label: str, folders: Sequence[Path], sides: Sequence[dict[str, Path]], settings: PairingSettings
) -> Paired:
    """Pair the files of two or more sides, each by name. `label` names them in errors, `folders` hold them.

    Raises DataError if files can be paired in several ways, or if some have no partner and these are neither skipped
    nor recorded in `settings.unmatched`.
    """
    match = match_sides([list(side) for side in sides], settings.exact)
    if isinstance(match, Ambiguity):
        nested = any("/" in name for name in sides[0])
        raise _several_partners(label, folders, match, settings.root, nested)
    paths = [[side[name] for name in names] for side, names in zip(sides, match.unpaired, strict=True)]
    files = {
        key: tuple(side[name] for side, name in zip(sides, names, strict=True)) for key, names in match.pairs.items()
    }
    return _paired(label, match, files, [path for side in paths for path in side], settings)


def pair_in_one_folder(folder: Folder, named: dict[str, Path], settings: PairingSettings) -> PairedInOneFolder | None:
    """Pair the files of one folder; `named` has their paths by name. Returns None if the names show no partners.

    Raises DataError as `pair_files` does, and if the names do not show which file is the input.
    """
    result = match_one_folder(list(named))
    if result is None:
        return None
    if isinstance(result, Ambiguity):
        nested = any("/" in name for name in named)
        shown = [_pattern(folder.path, pattern, nested, settings.root) for pattern in result.candidates]
        raise DataError(
            f"{folder.path}: its names show {len(shown)} kinds of images, but not which is the input and which the "
            f"target: {', '.join(shown)}; set data.input and data.target to two of these patterns, or data.layout to "
            "side-by-side where each image holds A and B",
            code="ambiguous",
        )
    match = result.match
    files: Files = {
        key: (named[first_name], named[second_name]) for key, (first_name, second_name) in match.pairs.items()
    }
    pairs = _paired(str(folder.path), match, files, [named[name] for name in match.unpaired[0]], settings)
    first, _, second = match.rule.partition(" with ")
    return PairedInOneFolder(pairs, (first, second), result.has_roles)


def require_one_suffix(folder: Path, images: Sequence[tuple[str, Path]], root: Path) -> None:
    """Raise DataError where most names are those of two images, such as `1.jpg` and `1.png`, with the two patterns."""
    suffixes: dict[str, list[str]] = {}
    if len({name for name, _ in images}) == len(images):
        return
    for name, path in images:
        suffixes.setdefault(name, []).append(path.suffix)
    suffix_pairs = Counter(tuple(sorted(some)) for some in suffixes.values() if len(some) == 2)
    if 2 * suffix_pairs.total() <= len(suffixes):
        return
    nested = any("/" in name for name in suffixes)
    pattern = _pattern(folder, "{id}", nested, root).removesuffix(".*")
    one, other = (f"{pattern}{suffix}" for suffix in max(suffix_pairs, key=suffix_pairs.__getitem__))
    raise DataError(
        "most of its names are those of two images, and do not tell which is the input",
        path=folder,
        remedy=f"set data.input: {one!r} and data.target: {other!r}, or the reverse",
        code="ambiguous",
    )


def require_no_cases(folder: Folder, root: Path) -> None:
    """Raise DataError where each of many folders holds images of the same few names, such as `image` and `mask`."""
    names = {tuple(sorted(name for name, _ in group.own_images(""))) for group in folder.folders if group.holds_images}
    if len(folder.folders) < 3 or len(names) != 1 or folder.image_names:
        return
    (shared,) = names
    if not 2 <= len(shared) <= 4:
        return
    patterns = [_pattern(folder.path, "{id}", False, root).removesuffix(".*") + f"/{name}.*" for name in shared]
    raise DataError(
        f"each of its folders holds {', '.join(shared)}",
        path=folder.path,
        remedy=f"set data.input and data.target to two of these patterns: {', '.join(map(repr, patterns))}, or "
        "data.layout to side-by-side where each image holds A and B",
        code="ambiguous",
    )


def _paired(label: str, match: Match, files: Files, unpaired: list[Path], settings: PairingSettings) -> Paired:
    may_skip = settings.skip and match.holds_most
    if unpaired and settings.unmatched is not None:
        settings.unmatched.unpaired += unpaired
        settings.unmatched.is_skipped = may_skip
    elif unpaired and not may_skip:
        same = " of the same name" if match.rule == SAME_NAME else ""
        skip = ", or set data.unmatched to skip" if match.holds_most else ", or list the pairs in a data.manifest"
        raise DataError(
            f"{label}: {len(unpaired)} without a partner{same}: {first_ten(unpaired)}; add or remove them{skip}",
            code="unmatched",
        )
    rule = "" if match.rule == SAME_NAME else f"matched by {match.rule}"
    return Paired(dict(sorted(files.items())), rule, tuple(unpaired))


def _several_partners(label: str, folders: Sequence[Path], ambiguity: Ambiguity, root: Path, nested: bool) -> DataError:
    """Return the error for names with several partners. If patterns distinguish them, the remedy is such patterns."""
    remedy = "rename or remove all but one"
    if ambiguity.patterns:
        *inputs, target = [
            _pattern(folder, pattern, nested, root) for folder, pattern in zip(folders, ambiguity.patterns, strict=True)
        ]
        given = inputs[0] if len(inputs) == 1 else inputs
        patterns = f"data.input: {given!r} and data.target: {target!r}"
        remedy = f"choose with patterns, such as {patterns}, or list the pairs in a data.manifest"
    return DataError(
        f"{label}: several files fit one partner: {first_ten(ambiguity.candidates)}; {remedy}", code="ambiguous"
    )


def _pattern(folder: Path, pattern: str, nested: bool, root: Path) -> str:
    """Return the pattern of the files in a folder, or in its subfolders too; the name of a split becomes `{split}`."""
    parts = (folder.relative_to(root) if folder.is_relative_to(root) else folder.absolute()).parts
    shown = [parse_folder_name(part).pattern for part in parts]
    return "/".join([*shown, *(["**"] if nested and pattern.startswith("{id}") else []), f"{pattern}.*"])
