"""A folder and its content, listed at most once."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from pix2pix.data.discovery.words import SPLIT_NAME, SPLITS, split_named
from pix2pix.data.images.files import is_image
from pix2pix.data.images.storage import is_compressed_tar, is_folder, list_archive
from pix2pix.errors import DataError
from pix2pix.runtime.ownership import is_run, made_files

FOLDER_PAIRS = (("a", "b"), ("input", "target"))
_SPLIT_NAMES = frozenset(f"{split}{side}" for split in SPLITS for side in ("", "a", "b"))
_SPLIT_AND_SIDE = re.compile(f"({SPLIT_NAME})([ab]?)")
CONVERT = "convert images of other formats to PNG or TIFF"
REMEDY = "name two folders with data.input and data.target, or list the pairs in a data.manifest"


class Folder:
    """The images and the subfolders of a folder; hidden and other files are ignored. Raises OSError.

    Run directories and files that `sample` wrote are excluded, so that a run does not train on its own samples.
    """

    def __init__(self, path: Path, parents: tuple[tuple[int, int], ...] = (), made: frozenset[str] = frozenset()):
        self.path, name = path, path.name.lower()
        match = _SPLIT_AND_SIDE.fullmatch(name)
        self.name = f"{split_named(match[1])}{match[2]}" if match else name
        self._made = frozenset(made_files(path)) | made  # paths of translations, which do not belong to the data set
        self._parents = parents  # device and inode of the folders on the path to this one
        self._at_path: dict[str, Folder | None] = {}

    @cached_property
    def _listed(self) -> tuple[list[str], list[str], list[str]]:
        """Return the names of the images, of the folders and of other files."""
        if (archived := list_archive(self.path)) is not None:
            names = [name for name in archived[0] if not _is_hidden(name)]
            images = [name for name in names if is_image(name)]
            others = [name for name in names if not is_image(name)]
            return images, [name for name in archived[1] if not _is_hidden(name)], others
        images, folders, others = [], [], []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if _is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    if not is_run(entry.path):
                        folders.append(entry.name)
                elif entry.path in self._made:
                    continue
                elif not is_image(entry.name):
                    others.append(entry.name)
                elif entry.is_file():
                    images.append(entry.name)
        return sorted(images), sorted(folders), others

    @property
    def image_names(self) -> list[str]:
        """The names of the images directly in it."""
        return self._listed[0]

    def other_names(self) -> Iterator[str]:
        """Yield the names of files that are not images, in the folders that have been listed so far."""
        if "_listed" in self.__dict__:
            yield from self._listed[2]
        for folder in [*self.__dict__.get("folders", ()), *filter(None, self._at_path.values())]:
            yield from folder.other_names()

    @cached_property
    def folders(self) -> list["Folder"]:
        """The folders directly in it. Raises DataError where links form a loop."""
        status = None if list_archive(self.path) is not None else os.stat(self.path)  # an archive holds no links
        identity = (status.st_dev, status.st_ino) if status is not None else (0, 0)
        if status is not None and identity in self._parents:
            raise DataError(f"{self.path}: is a link to a folder that contains it; remove the link")
        return [Folder(self.path / name, (*self._parents, identity), self._made) for name in self._listed[1]]

    @cached_property
    def holds_images(self) -> bool:
        """Whether there is an image in it or in a subfolder."""
        return bool(self.image_names) or any(folder.holds_images for folder in self.folders)

    def child(self, name: str) -> "Folder | None":
        """Return the subfolder with this lower-case name, in any case; splits match in any spelling.

        Raises DataError if there are two.
        """
        matches = [folder for folder in self.folders if folder.name == name]
        if len(matches) > 1:
            paths = " and ".join(str(folder.path) for folder in matches)
            raise DataError(f"{paths} both count as {name}; rename or remove all but one")
        return matches[0] if matches else None

    def at_path(self, path: str) -> "Folder | None":
        """Return the folder at exactly this path, absolute or relative to this folder; it may be outside it."""
        if path not in self._at_path:
            self._at_path[path] = Folder(self.path / path) if is_folder(self.path / path) else None
        return self._at_path[path]

    def images(self, prefix: str = "") -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of every image in it and its subfolders; a name is a relative path without suffix."""
        yield from self.own_images(prefix)
        for folder in self.folders:
            yield from folder.images(f"{prefix}{folder.path.name}/")

    def own_images(self, prefix: str = "") -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of every image directly in it."""
        for name in self.image_names:
            yield prefix + os.path.splitext(name)[0], self.path / name

    def require_no_splits(self) -> None:
        """Raise DataError if a subfolder is named like a split, since images of several splits must not be mixed."""
        for folder in self.folders:
            if folder.name in _SPLIT_NAMES and folder.holds_images:
                raise DataError(
                    f"{folder.path}: looks like a split of another data set; set data.root to {self.path}, or rename "
                    "the folder"
                )
            folder.require_no_splits()

    def summary(self) -> str:
        """Describe what is directly in it, for messages."""
        names = [folder.path.name for folder in self.folders]
        parts = []
        if names:
            parts.append(f"the folders {first_ten(names)}" if len(names) > 1 else f"the folder {names[0]}")
        if self.image_names:
            parts.append(f"{len(self.image_names)} images")
        elif others := by_suffix(self.other_names()):
            parts.append(f"no image of a format that is read, but {show_counts(others)}")
        return " and ".join(parts) or "neither images nor folders"


def root_folder(path: str | Path) -> Folder:
    """Return the folder or archive at a path. If an archive holds only one folder, return that folder.

    Raises DataError and OSError.
    """
    if is_compressed_tar(path) and os.path.isfile(path):
        raise DataError(
            "is a compressed tar archive, whose files cannot be read one by one",
            path=path,
            remedy="unpack it, or uncompress it to .tar (such as with gunzip), which is read in place",
            code="archive",
        )
    folder = Folder(Path(path))
    if list_archive(folder.path) is not None and not folder.image_names and len(folder.folders) == 1:
        (only,) = folder.folders
        return folder if only.name in _SPLIT_NAMES else root_folder(only.path)
    return folder


def by_suffix(names: Iterable[str]) -> dict[str, int]:
    """Count files by suffix, in lower case, the most frequent first."""
    return dict(Counter(os.path.splitext(name)[1].lower() for name in sorted(names)).most_common())


def show_counts(suffixes: dict[str, int]) -> str:
    """Show how many files there are of each suffix."""
    return first_ten(f"{count:,} {suffix or 'without a suffix'}" for suffix, count in suffixes.items())


def _is_hidden(name: str) -> bool:
    """Return whether a folder or file is hidden, or holds what macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def first_ten(items: Iterable[object]) -> str:
    """Show the first ten items, and how many more there are."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if texts[10:] else "")
