"""Folders that hold pairs: one of side-by-side images, or one for each input and the target."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pix2pix.data.discovery.folders import FOLDER_PAIRS, REMEDY, Folder, first_ten
from pix2pix.data.discovery.one_folder import differ_in_numbers_alone
from pix2pix.data.discovery.pairing import (
    Files,
    Paired,
    PairingSettings,
    Unmatched,
    pair_files,
    pair_in_one_folder,
    require_no_cases,
    require_one_suffix,
)
from pix2pix.errors import DataError


@dataclass(frozen=True)
class Listing:
    """The files of pairs, by the name of the pair, and the folders they are in (none for a manifest).

    `files`: one file that holds A and B; or one file for A (or one for each input) and one for B (or the target).
    `has_roles`: whether the last file is the target rather than B. `keys`: by name, the key whose hash decides whether
    a pair is held out for validation. `rule`: how partners were matched. `evidence`: why the layout was chosen.
    Both are texts for the plan, and empty if the layout's name says enough.
    `unpaired`: images without a partner that were skipped.
    """

    layout: str
    has_roles: bool
    files: dict[str, tuple[Path, ...]]
    keys: dict[str, str]
    folders: tuple[Path, ...] = ()
    rule: str = ""
    evidence: str = ""
    unpaired: tuple[Path, ...] = ()


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

    def listing(self, forced: bool, settings: PairingSettings) -> Listing:
        """List the pairs; `forced` is whether data.layout names this layout.

        Raises DataError for images without a partner and for two with the same name, unless `settings` allow these.
        """
        folders = tuple(folder.path for folder in self.folders)
        if len(folders) == 1:
            return (None if forced else self._in_one_folder(settings)) or self._side_by_side(forced, settings)
        self._require_apart()
        sides = [by_name(folder.images(), settings.unmatched) for folder in self.folders]
        pairs = pair_files(str(self), folders, sides, settings)
        return listing_of(self.layout, self.has_roles, pairs, folders)

    def _side_by_side(self, forced: bool, settings: PairingSettings) -> Listing:
        """List the side-by-side images of the folder."""
        if not forced:
            require_no_cases(self.folders[0], settings.root)
        images = sorted(side_by_side_images(self.folders[0], forced))
        if not forced:
            require_one_suffix(self.folders[0].path, images, settings.root)
        named = by_name(images, settings.unmatched)
        files: Files = {name: (path,) for name, path in named.items()}
        return listing_of(self.layout, self.has_roles, Paired(files, "", ()), (self.folders[0].path,))

    def _in_one_folder(self, settings: PairingSettings) -> Listing | None:
        """List the pairs of two files in the folder, or return None if the names show no partners."""
        folder = self.folders[0]
        if not folder.folders and differ_in_numbers_alone(folder.image_names):
            return None
        result = pair_in_one_folder(folder, dict(folder.images()), settings)
        if result is None:
            return None
        _ = by_name(folder.images(), settings.unmatched)
        patterns = tuple(folder.path / pattern for pattern in result.patterns)
        return listing_of("one-folder", result.has_roles, result.pairs, patterns)

    def _require_apart(self) -> None:
        """Raise DataError if a folder is inside another one, or the same."""
        real_paths = [os.path.realpath(folder.path) + os.sep for folder in self.folders]
        if any(i != j and a.startswith(b) for i, a in enumerate(real_paths) for j, b in enumerate(real_paths)):
            raise DataError(f"{self}: no folder may be, or be inside, another of these; name separate folders")


@dataclass(frozen=True)
class Candidate:
    """Folders that may hold a split: their paths, and the folders at these, None for those that do not exist."""

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
        """The source of pairs, None unless all folders exist."""
        return Source(self.found, self.has_roles) if not self.missing else None


def listing_of(layout: str, has_roles: bool, pairs: Paired, folders: tuple[Path, ...]) -> Listing:
    """Return the listing of pairs that are held out for validation by their names."""
    keys = {name: name for name in pairs.files}
    return Listing(layout, has_roles, pairs.files, keys, folders, rule=pairs.rule, unpaired=pairs.unpaired)


def by_name(named: Iterable[tuple[str, Path]], unmatched: Unmatched | None = None) -> dict[str, Path]:
    """Return a dict sorted by name. Two with the same name raise DataError, or are recorded in `unmatched`."""
    files: dict[str, Path] = {}
    for name, path in sorted(named):
        if name not in files:
            files[name] = path
        elif unmatched is not None:
            unmatched.name_clashes.append((files[name], path))
        else:
            raise DataError(
                f"{files[name]} and {path} have the same name; rename or remove one of them", code="same-name"
            )
    return files


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
    """Raise DataError for groups that are named like sides, share image names, or have no images next to them."""
    named_as_sides = any(group.name in couple for group in groups for couple in FOLDER_PAIRS)
    names = [name for group in groups for name in {name for name, _ in group.images()}] if len(groups) > 1 else []
    if named_as_sides or len(set(names)) < len(names) or (names and not folder.image_names):
        folders = first_ten(group.path.name for group in groups)
        named = len(groups) == 2 and len(set(names)) < len(names)
        such_as = f" (such as {groups[0].path.name!r} and {groups[1].path.name!r})" if named else ""
        raise DataError(
            f"{folder.path}: the layout is ambiguous: its folders {folders} may be the two sides of pairs, or groups "
            f"of side-by-side images; {REMEDY}{such_as}, or set data.layout to side-by-side where each image holds A "
            "and B",
            code="ambiguous",
        )
