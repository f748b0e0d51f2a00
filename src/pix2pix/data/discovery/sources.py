"""Folders that hold pairs: one of side-by-side images, or one for each input and the target."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pix2pix.data.discovery.folders import FOLDER_PAIRS, REMEDY, Folder, first_ten
from pix2pix.errors import DataError


@dataclass
class Unmatched:
    """Images that belong to no pair.

    `unpaired`: images without a partner. `name_clashes`: two images with the same name, of which the second is left
    out. `missing`: (line, path) of each file that a manifest lists and that does not exist.
    """

    unpaired: list[Path] = field(default_factory=list)
    name_clashes: list[tuple[Path, Path]] = field(default_factory=list)
    missing: list[tuple[str, Path]] = field(default_factory=list)


@dataclass(frozen=True)
class Listing:
    """The files of pairs, by the name of the pair, and the folders they are in (none for a manifest).

    `files`: one file that holds A and B; or one file for A (or one for each input) and one for B (or the target).
    `has_roles`: whether the last file is the target rather than B. `keys`: by name, the key whose hash decides whether
    a pair is held out for validation. `rule`: how partners were found, in words for the plan. `evidence`: why the
    layout was chosen, in words for the plan. Both are empty where nothing but the layout's name explains them.
    """

    layout: str
    has_roles: bool
    files: dict[str, tuple[Path, ...]]
    keys: dict[str, str]
    folders: tuple[Path, ...] = ()
    rule: str = ""
    evidence: str = ""


@dataclass(frozen=True)
class Source:
    """Folders of pairs, all of which exist."""

    folders: tuple[Folder, ...]
    has_roles: bool = False  # input and target, rather than A and B

    @property
    def layout(self) -> str:
        return "side-by-side" if len(self.folders) == 1 else "two-folders"

    def __str__(self) -> str:
        return f"{self.layout} {' and '.join(str(folder.path) for folder in self.folders)}"

    def listing(self, forced: bool, unmatched: Unmatched | None = None) -> Listing:
        """List the pairs; `forced` is whether data.layout names this layout.

        Raises DataError for images without a partner and two of one name, or records them in `unmatched`.
        """
        if len(self.folders) == 1:
            found = by_name(side_by_side_images(self.folders[0], forced), unmatched)
            return self._listing({name: (path,) for name, path in found.items()})
        self._require_apart()
        images = [by_name(folder.images(), unmatched) for folder in self.folders]
        common = set(images[0]).intersection(*images[1:])
        unpaired = [side[name] for side in images for name in side if name not in common]
        if unmatched is not None:
            unmatched.unpaired += unpaired
        elif unpaired:
            raise DataError(
                f"{self}: {len(unpaired)} without a partner of the same name: {first_ten(unpaired)}; add or remove "
                "them",
                code="unmatched",
            )
        return self._listing({name: tuple(side[name] for side in images) for name in images[0] if name in common})

    def _require_apart(self) -> None:
        """Raise DataError where a folder is in another or is the same."""
        places = [os.path.realpath(folder.path) + os.sep for folder in self.folders]
        if any(i != j and a.startswith(b) for i, a in enumerate(places) for j, b in enumerate(places)):
            raise DataError(f"{self}: no folder may be, or be inside, another of these; name separate folders")

    def _listing(self, files: dict[str, tuple[Path, ...]]) -> Listing:
        folders = tuple(folder.path for folder in self.folders)
        return Listing(self.layout, self.has_roles, files, {name: name for name in files}, folders)


@dataclass(frozen=True)
class Candidate:
    """Folders that may hold a split: their paths, and the folders found there, None where there is none."""

    paths: tuple[Path, ...]
    folders: tuple[Folder | None, ...]
    has_roles: bool

    @property
    def found(self) -> tuple[Folder, ...]:
        """The folders that exist."""
        return tuple(folder for folder in self.folders if folder is not None)

    @property
    def missing(self) -> list[Path]:
        """The paths of the folders that do not exist."""
        return [path for path, folder in zip(self.paths, self.folders, strict=True) if folder is None]

    @property
    def source(self) -> Source | None:
        """The source of pairs, where all folders exist."""
        return Source(self.found, self.has_roles) if not self.missing else None


def by_name(named: Iterable[tuple[str, Path]], unmatched: Unmatched | None = None) -> dict[str, Path]:
    """Sort by name. Raises DataError where two have the same name, or records them in `unmatched`."""
    found: dict[str, Path] = {}
    for name, path in sorted(named):
        if name not in found:
            found[name] = path
        elif unmatched is not None:
            unmatched.name_clashes.append((found[name], path))
        else:
            raise DataError(
                f"{found[name]} and {path} have the same name; rename or remove one of them", code="same-name"
            )
    return found


def side_by_side_images(folder: Folder, forced: bool, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the side-by-side images in a folder and its subfolders.

    Subfolders that may be the two sides of pairs are refused: read as groups of side-by-side images, all their images
    would be cut in half. Where data.layout is side-by-side (`forced`), they are read; only a pair of folders such as a
    and b is left out.
    """
    groups = [group for group in folder.folders if group.holds_images]
    if forced:
        names = {group.name for group in groups}
        sides = {name for couple in FOLDER_PAIRS if names.issuperset(couple) for name in couple}
        groups = [group for group in groups if group.name not in sides]
    else:
        _refuse_sides(folder, groups)
    yield from folder.own_images(prefix)
    for group in groups:
        yield from side_by_side_images(group, forced, f"{prefix}{group.path.name}/")


def _refuse_sides(folder: Folder, groups: Sequence[Folder]) -> None:
    """Raise DataError for groups that are named like sides, that have a name in common, or that are all there is."""
    named_as_sides = any(group.name in couple for group in groups for couple in FOLDER_PAIRS)
    names = [name for group in groups for name in {name for name, _ in group.images()}] if len(groups) > 1 else []
    if named_as_sides or len(set(names)) < len(names) or (names and not folder.image_names):
        folders = first_ten(group.path.name for group in groups)
        raise DataError(
            f"{folder.path}: the layout is ambiguous: its folders {folders} may be the two sides of pairs, or groups "
            f"of side-by-side images; {REMEDY}, or set data.layout to side-by-side where each image holds A and B",
            code="ambiguous",
        )
