"""Finds where the pairs of a data set lie: side by side, in two folders of every usual spelling, or in a manifest."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pix2pix.config import DataConfig
from pix2pix.data.discovery.folders import FOLDER_PAIRS, REMEDY, SPLITS, Folder, Unmatched, by_name, first_ten, halves
from pix2pix.data.discovery.manifest import Row, is_manifest, read_manifest
from pix2pix.datasets.catalogue import download_command
from pix2pix.datasets.catalogue import names as known_sets
from pix2pix.errors import DataError

_LAYOUTS = ("side-by-side", "two-folders")
_KNOWN = "pictures with A and B side by side, or two folders a and b, or input and target"


@dataclass(frozen=True)
class Listing:
    """Pairs as they lie. `files`: a file of both sides, or one a side; `named`: the last is the target, not B.

    `keys`: what picks a pair's split where none is on disk, by the pair's name.
    """

    layout: str
    named: bool
    files: dict[str, tuple[Path, ...]]
    keys: dict[str, str]


@dataclass(frozen=True)
class Source:
    """Folders of pairs: one of pictures side by side, or one a side, None where it should be and is not."""

    paths: tuple[Path, ...]
    folders: tuple[Folder | None, ...]
    named: bool = False  # input and target, not A and B

    @property
    def layout(self) -> str:
        return "side-by-side" if len(self.folders) == 1 else "two-folders"

    @property
    def is_there(self) -> bool:
        return all(self.folders)

    def __str__(self) -> str:
        return f"{self.layout} {' and '.join(str(folder.path) for folder in self.folders)}"

    def listing(self, forced: bool, beside: Unmatched | None = None) -> Listing:
        """Raises DataError: pictures without a partner, two of one name; or leaves these out and puts them `beside`."""
        if len(self.folders) == 1:
            found = by_name(halves(self.folders[0], forced), beside)
            return self._listing({name: (path,) for name, path in found.items()})
        places = [os.path.realpath(folder.path) + os.sep for folder in self.folders]
        if any(i != j and a.startswith(b) for i, a in enumerate(places) for j, b in enumerate(places)):
            raise DataError(f"{self}: a folder cannot be both sides, or lie in the other; name two that lie apart")
        images = [by_name(folder.images(), beside) for folder in self.folders]
        common = set(images[0]).intersection(*images[1:])
        unpaired = [side[name] for side in images for name in side if name not in common]
        if beside is not None:
            beside.unpaired += unpaired
        elif unpaired:
            raise DataError(
                f"{self}: {len(unpaired)} without a partner of the same name: {first_ten(unpaired)}; add or remove them"
            )
        return self._listing({name: tuple(side[name] for side in images) for name in images[0] if name in common})

    def _listing(self, files: dict[str, tuple[Path, ...]]) -> Listing:
        return Listing(self.layout, self.named, files, {name: name for name in files})


class FolderLayout:
    """What a data set's folders hold: splits are folders in root or in its sides, or begin the sides' names."""

    def __init__(self, data: DataConfig):
        self.data, self.root = data, Folder(Path(data.root or ""))
        self.named = data.input is not None and data.target is not None
        self.folder_pairs = ((*data.inputs, data.target),) if self.named else FOLDER_PAIRS
        self.splits = [split for split in SPLITS if self._is_on_disk(split)]
        self._drop_corrupt = self._without_split()
        if self.splits and self._drop_corrupt:
            folders = " and ".join(self.splits)
            self._refuse([*map(str, self._drop_corrupt), f"the splits {folders} of {self.root.path}"])

    @property
    def hashed(self) -> bool:
        """Whether there is no split on disk."""
        return not self.splits

    def listing(self, split: str, beside: Unmatched | None = None) -> Listing:
        """The pairs of a split, or of all where none is on disk. Raises DataError: none, or in several places.

        `beside` as for `Source.listing`.
        """
        source = self._source(split)
        if self.hashed:
            for folder in source.folders:
                folder.require_no_splits()
        return source.listing(self.data.layout == "side-by-side", beside)

    def folders(self, split: str) -> list[Path]:
        """The folder of a split's pictures side by side, or those of A and B, or of input and target."""
        return [folder.path for folder in self._source(split).folders]

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a split nor a pair without one."""
        return not self.splits and not self._drop_corrupt

    @property
    def has_named_roles(self) -> bool:
        """Whether the folders are called input and target, or were named as such."""
        sources = [*self._drop_corrupt, *(couple for split in self.splits for couple in self._couples_of_split(split))]
        return self.named or any(source.named and source.is_there for source in sources)

    def _source(self, split: str) -> Source:
        if split not in self.splits and not self._drop_corrupt:
            self._miss(split)
        found = self._drop_corrupt or self._of_split(split)
        if len(found) > 1:
            self._refuse([str(source) for source in found])
        if not found:
            self._explain(split)
        return found[0]

    def _couple(self, folder: Folder, names: tuple[str, ...], inner: str = "") -> Source:
        """The folders of these names in `folder`, or folders called `inner` in them."""
        found = [folder.below(name) if self.named else folder.child(name.lower()) for name in names]
        paths = tuple(folder.path / name / inner for name in names)
        if inner:
            found = [side and side.child(inner) for side in found]
        return Source(paths, tuple(found), self.named or names == FOLDER_PAIRS[1])

    def _couples_of_split(self, split: str) -> Iterator[Source]:
        """Every couple of folders that could hold a split, there or not."""
        here = self._split_folder(split)
        for names in self.folder_pairs:
            if here is not None and not any(os.path.isabs(name) or ".." in Path(name).parts for name in names):
                yield self._couple(here, names)
            yield self._couple(self.root, names, split)
        if not self.named:
            yield self._couple(self.root, (f"{split}A", f"{split}B"))

    def _split_folder(self, split: str) -> Folder | None:
        return self.root.child(split) if self.data.root is not None else None

    def _is_on_disk(self, split: str) -> bool:
        if not self.named and self._split_folder(split) is not None:
            return True
        return any(any(couple.folders) for couple in self._couples_of_split(split))

    def _of_split(self, split: str) -> list[Source]:
        folder_pairs = [couple for couple in self._couples_of_split(split) if couple.is_there]
        return self._wanted(folder_pairs, self._split_folder(split))

    def _without_split(self) -> list[Source]:
        """Where pairs without a split lie: a couple of folders in root, or pictures straight in it."""
        folder_pairs = [
            couple for couple in (self._couple(self.root, names) for names in self.folder_pairs) if couple.is_there
        ]
        split = [any(side.child(split) for side in couple.folders for split in SPLITS) for couple in folder_pairs]
        beside = [any(side.pictures for side in couple.folders) for couple in folder_pairs]
        whole = [couple for couple, a, b in zip(folder_pairs, split, beside, strict=True) if b or not a]
        return self._wanted(whole, None if self.splits else self.root)

    def _wanted(self, folder_pairs: list[Source], folder: Folder | None) -> list[Source]:
        """The couples and the pictures side by side in `folder`, as far as data.layout lets them."""
        layout, found = self.data.layout, [] if self.data.layout == "side-by-side" else folder_pairs
        if folder is None or self.named or layout == "two-folders":
            return found
        sides = {name for names in FOLDER_PAIRS for name in names}
        groups = any(group.holds_pictures for group in folder.folders if group.name not in sides)
        return (
            [*found, Source((folder.path,), (folder,))] if folder.pictures or (groups and not folder_pairs) else found
        )

    def _refuse(self, candidates: list[str]) -> None:
        layouts = [layout for layout in _LAYOUTS if self.data.layout == "auto" and self._is_clear(layout)]
        remedies = ["move all but one away"]
        remedies += [f"set data.layout to {' or '.join(layouts)}"] if layouts else []
        remedies += [] if self.named else ["set data.input and data.target to two folders"]
        ways = f"can be read in {len(candidates)} ways: {', or '.join(candidates)}"
        raise DataError(f"{self.root.path}: {ways}; {', or '.join(remedies)}")

    def _is_clear(self, layout: str) -> bool:
        """Whether there is one way to read each split once data.layout is this."""
        try:
            forced = FolderLayout(self.data.model_copy(update={"layout": layout}))
            return all(
                len(forced._drop_corrupt or forced._of_split(split)) == 1 for split in forced.splits or ["train"]
            )
        except DataError:
            return False

    def _miss(self, split: str) -> None:
        """Says that a split is not there, and what is."""
        root, folder = self.root.path, self.root.path / split
        if self.splits:
            raise DataError(f"{folder}: no such folder; {root} has {', '.join(self.splits)}")
        if self.named:
            couple = self._couple(self.root, self.folder_pairs[0])
            missing = [str(path) for path, found in zip(couple.paths, couple.folders, strict=True) if not found]
            raise DataError(f"{' and '.join(missing)}: no such folder; {root} holds {self.root.summary()}")
        raise DataError(
            f"{folder}: no such folder; {root} has no split ({', '.join(SPLITS)}) and no {_KNOWN}; it holds "
            f"{self.root.summary()}; {REMEDY}"
        )

    def _explain(self, split: str) -> None:
        """Says what is wrong with a split that is there, but not as pairs."""
        for couple in self._couples_of_split(split):
            if any(couple.folders) and not couple.is_there:
                there = next(found.path for found in couple.folders if found)
                missing = next(path for path, found in zip(couple.paths, couple.folders, strict=True) if not found)
                names = "a and b" if not couple.named else "input and target"
                raise DataError(
                    f"{missing}: no such folder, so {there} holds no pairs; the layout two-folders needs {names}"
                )
        folder = self._split_folder(split) or self.root
        raise DataError(
            f"{folder.path}: holds no pairs; it should hold {_KNOWN}; it holds {folder.summary()}; {REMEDY}"
        )


class ManifestLayout:
    """What a manifest lists."""

    is_empty, has_named_roles = False, True

    def __init__(self, path: Path, beside: Unmatched | None = None):
        self.path, self.beside = path, beside

    @cached_property
    def rows(self) -> list[Row]:
        return read_manifest(self.path, None if self.beside is None else self.beside.missing)

    @cached_property
    def splits(self) -> list[str]:
        return [split for split in SPLITS if any(row.split == split for row in self.rows)]

    @property
    def hashed(self) -> bool:
        """Whether it has no splits."""
        return not self.splits

    def listing(self, split: str, beside: Unmatched | None = None) -> Listing:
        """The pairs of a split, or all where it has none, by name. Raises DataError; nothing is `beside` them."""
        if not self.hashed and split not in self.splits:
            raise DataError(f"{self.path}: lists no pairs of {split}; it has {', '.join(self.splits)}")
        rows = sorted((row for row in self.rows if self.hashed or row.split == split), key=lambda row: row.name)
        files = {row.name: (row.input, row.target) for row in rows}
        return Listing("manifest", True, files, {row.name: row.key for row in rows})

    def folders(self, split: str) -> list[Path]:
        """None: the files may be anywhere."""
        return []


def find_layout(data: DataConfig, beside: Unmatched | None = None) -> FolderLayout | ManifestLayout:
    """What lies where a config says. Raises DataError where nothing does, or OSError.

    `beside`: where files that a manifest lists and that are not there are put, instead of raising DataError.
    """
    if data.manifest is not None:
        return ManifestLayout(Path(data.root or "") / data.manifest, beside)
    if data.root is not None and is_manifest(data.root) and data.layout in ("auto", "manifest"):
        return ManifestLayout(Path(data.root), beside)
    if data.layout == "manifest":
        raise DataError(f"{source_label(data)}: is no manifest; set data.manifest to a .csv or .jsonl file")
    named = data.input is not None and data.target is not None
    if not os.path.isdir(data.root or ("." if named else "")):
        what = "is a file, and no .csv or .jsonl" if os.path.isfile(data.root or "") else "no such folder"
        root = Path(data.root or "")
        name, output = (root.name, root.parent) if root.name in known_sets() else ("facades", "data")
        raise DataError(
            f"{data.root or 'data.root'}: {what}; set data.root or pass --data with where your pairs are, "
            f"or get {'the facades' if name == 'facades' else name} with: {download_command(name, output)}"
        )
    return FolderLayout(data)


def source_label(data: DataConfig) -> str:
    """The data set's place as the config names it."""
    if data.manifest is not None:
        return str(Path(data.root or "") / data.manifest)
    return data.root or (" and ".join([*data.inputs, str(data.target)]) if data.inputs else "data.root")


def is_validation_key(key: str, fraction: float) -> bool:
    """Whether a pair is one to validate on, by a hash of its key: the same for ever, whatever else there is."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
