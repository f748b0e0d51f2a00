"""A folder and what lies in it, listed at most once."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pix2pix.data.images.files import is_image
from pix2pix.errors import DataError
from pix2pix.runtime.ownership import is_run, made_files

FOLDER_PAIRS = (("a", "b"), ("input", "target"))
SPLITS = ("train", "val", "test")
_SPLIT_NAMES = frozenset(f"{split}{side}" for split in SPLITS for side in ("", "a", "b"))
_ALSO_VAL = re.compile("(?:validation|valid)([ab]?)")
REMEDY = "name two folders with data.input and data.target, or list the pairs in a data.manifest"


class Folder:
    """The pictures and the folders in a folder; what is hidden or something else is not there. Raises OSError.

    Run folders in it and files that `sample` wrote are left out: a run in its data set would train on its samples.
    """

    def __init__(self, path: Path, around: tuple[tuple[int, int], ...] = (), made: frozenset[str] = frozenset()):
        self.path, name = path, path.name.lower()
        found = _ALSO_VAL.fullmatch(name)
        self.name = f"val{found[1]}" if found else name
        self._made = frozenset(made_files(path)) | made  # paths of translations of ours, which are no data
        self._around = around  # device and inode of the folders that led here
        self._below: dict[str, Folder | None] = {}

    @cached_property
    def _listed(self) -> tuple[list[str], list[str]]:
        pictures, folders = [], []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders += [entry.name] * (not is_run(entry.path))
                elif is_image(Path(entry.name)) and entry.is_file() and entry.path not in self._made:
                    pictures.append(entry.name)
        return sorted(pictures), sorted(folders)

    @property
    def pictures(self) -> list[str]:
        """The names of the pictures straight in it."""
        return self._listed[0]

    @cached_property
    def folders(self) -> list["Folder"]:
        """The folders straight in it. Raises DataError where a link leads round in a circle."""
        status = os.stat(self.path)
        here = (status.st_dev, status.st_ino)
        if here in self._around:
            raise DataError(f"{self.path}: is a link to a folder that it lies in; remove the link")
        return [Folder(self.path / name, (*self._around, here), self._made) for name in self._listed[1]]

    @cached_property
    def holds_pictures(self) -> bool:
        """Whether there is a picture in it or in a folder of it."""
        return bool(self.pictures) or any(folder.holds_pictures for folder in self.folders)

    def child(self, name: str) -> "Folder | None":
        """The folder in it of this name, in capitals or not; `validation` and `valid` are `val`.

        Raises DataError where there are two.
        """
        found = [folder for folder in self.folders if folder.name == name]
        if len(found) > 1:
            paths = " and ".join(str(folder.path) for folder in found)
            raise DataError(f"{paths} count as one name, {name}; rename or remove all but one")
        return found[0] if found else None

    def below(self, path: str) -> "Folder | None":
        """The folder of this very path, which may also lead elsewhere."""
        if path not in self._below:
            self._below[path] = Folder(self.path / path) if os.path.isdir(self.path / path) else None
        return self._below[path]

    def images(self, prefix: str = "") -> Iterator[tuple[str, Path]]:
        """(name, path) of every picture in it and in its folders: a name is a relative path without its suffix."""
        yield from self.here(prefix)
        for folder in self.folders:
            yield from folder.images(f"{prefix}{folder.path.name}/")

    def here(self, prefix: str = "") -> Iterator[tuple[str, Path]]:
        """(name, path) of every picture straight in it."""
        for name in self.pictures:
            yield prefix + os.path.splitext(name)[0], self.path / name

    def require_no_splits(self) -> None:
        """Raises DataError where a folder in it is called as a split is: its pictures must not be mixed with others."""
        for folder in self.folders:
            if folder.name in _SPLIT_NAMES and folder.holds_pictures:
                raise DataError(
                    f"{folder.path}: looks like a split of a data set of its own; set data.root to {self.path}, "
                    "or rename the folder"
                )
            folder.require_no_splits()

    def summary(self) -> str:
        """What is straight in it, in words."""
        names = [folder.path.name for folder in self.folders]
        parts = [f"the folders {first_ten(names)}" if names[1:] else f"the folder {names[0]}"] if names else []
        parts += [f"{len(self.pictures)} pictures"] if self.pictures else []
        return " and ".join(parts) or "neither pictures nor folders"


@dataclass
class Unmatched:
    """Pictures that are in no pair: those without a partner, and couples of one name, the second left out.

    And those that a manifest lists and that are `missing`, with the line.
    """

    unpaired: list[Path] = field(default_factory=list)
    name_clashes: list[tuple[Path, Path]] = field(default_factory=list)
    missing: list[tuple[str, Path]] = field(default_factory=list)


def by_name(named: Iterable[tuple[str, Path]], beside: Unmatched | None = None) -> dict[str, Path]:
    """In the order of the names. Raises DataError where two have the same, or puts them `beside`."""
    found: dict[str, Path] = {}
    for name, path in sorted(named):
        if name in found and beside is not None:
            beside.name_clashes.append((found[name], path))
            continue
        if name in found:
            raise DataError(f"{found[name]} and {path} have one name; rename or remove one")
        found[name] = path
    return found


def first_ten(items: Iterable[object]) -> str:
    """The first ten, and how many more there are."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if texts[10:] else "")


def halves(folder: Folder, forced: bool, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """(name, path) of the pictures with two halves in a folder and in its folders.

    Folders that may be two sides are refused: taken for groups of pictures with two halves, all their pictures would be
    cut. Where data.layout says that they are groups they are read; only a couple such as a and b is still left out.
    """
    groups = [group for group in folder.folders if group.holds_pictures]
    if forced:
        names = {group.name for group in groups}
        sides = {name for couple in FOLDER_PAIRS if names.issuperset(couple) for name in couple}
        groups = [group for group in groups if group.name not in sides]
    else:
        _refuse_sides(folder, groups)
    yield from folder.here(prefix)
    for group in groups:
        yield from halves(group, forced, f"{prefix}{group.path.name}/")


def _refuse_sides(folder: Folder, groups: list[Folder]) -> None:
    """Raises DataError for groups called as sides are, that have a name in common, or that are all there is."""
    called = any(group.name in couple for group in groups for couple in FOLDER_PAIRS)
    names = [name for group in groups for name in {name for name, _ in group.images()}] if len(groups) > 1 else []
    if called or len(set(names)) < len(names) or (names and not folder.pictures):
        folders = first_ten(group.path.name for group in groups)
        raise DataError(
            f"{folder.path}: holds no pairs that can be told: its folders {folders} may be sides, or groups of "
            f"pictures; {REMEDY}, or set data.layout to side-by-side where each picture holds A and B"
        )
