"""Find the pairs of each split in folders with the fixed names: a and b, input and target, and their spellings."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pix2pix.config import DataConfig
from pix2pix.data.discovery.folders import FOLDER_PAIRS, REMEDY, Folder
from pix2pix.data.discovery.halves import require_pairs
from pix2pix.data.discovery.pairing import PairingSettings, Unmatched
from pix2pix.data.discovery.sources import Candidate, Listing, Source
from pix2pix.data.discovery.words import SPLITS
from pix2pix.data.images.settings import at_most
from pix2pix.errors import DataError

_LAYOUTS = ("side-by-side", "two-folders")
_KNOWN = "side-by-side images, or two folders a and b, or input and target"


class FolderLayout:
    """The layout of a data set in folders.

    A split is a folder in the root, a folder in each side's folder, or the start of the sides' names (`trainA`).
    `splits`: the splits on disk. `root_folder`: the root, if it was listed already. `trusted`: single images are
    read as side-by-side pairs without evidence. Raises DataError and OSError.
    """

    def __init__(self, data: DataConfig, root_folder: Folder | None = None, trusted: bool = False):
        self.data, self.root = data, root_folder or Folder(Path(data.root or ""))
        self.trusted = trusted or data.layout == "side-by-side"
        self.folder_pairs: Sequence[tuple[str, ...]] = FOLDER_PAIRS
        self.named = False
        if data.input is not None and data.target is not None:
            self.folder_pairs, self.named = ((*data.inputs, data.target),), True
        self.splits = [split for split in SPLITS if self._is_on_disk(split)]
        self._without_split = self._find_without_split()
        if self.splits and self._without_split:
            folders = " and ".join(self.splits)
            self._refuse([*map(str, self._without_split), f"the splits {folders} of {self.root.path}"])

    def listing(self, split: str, unmatched: Unmatched | None = None) -> Listing:
        """List the pairs of a split, or all pairs if there are no splits on disk.

        Raises DataError if there are no pairs, or if the folders can be read in several ways. `unmatched` as for
        `Source.listing`.
        """
        source = self._source(split)
        if not self.splits:
            for folder in source.folders:
                folder.require_no_splits()
        settings = PairingSettings(self.data.unmatched == "skip", unmatched, self.root.path)
        listing = source.listing(self.data.layout == "side-by-side", settings)
        if listing.layout != "side-by-side" or self.trusted or not listing.files:
            return listing
        return replace(listing, evidence=self._evidence(split, source, listing))

    def _evidence(self, split: str, source: Source, listing: Listing) -> str:
        """Return the evidence that the images of a folder are side-by-side pairs. Raises DataError if there is none."""
        others = [other for name in self.splits if name != split for other in self._sources(name)]
        images = [[path for _, path in other.folders[0].images()] for other in others if len(other.folders) == 1]
        folder = source.folders[0]
        beside = [other for other in self.root.folders if other.name not in SPLITS] if self.splits else []
        partners = ", ".join(str(other.path) for other in beside if _share_names(folder, other))
        with at_most(self.data.max_pixels):
            return require_pairs(folder.path, [paths[0] for paths in listing.files.values()], images, partners)

    @property
    def is_empty(self) -> bool:
        """Whether there are no pairs, neither in splits nor without a split."""
        return not self.splits and not self._without_split

    @property
    def has_folders_of_sides(self) -> bool:
        """Whether there are pairs in two folders, or data.input and data.target name folders that exist."""
        candidates = [candidate for split in self.splits for candidate in self._candidates(split)]
        sources = [*self._without_split, *(candidate.source for candidate in candidates)]
        return self.named or any(source is not None and len(source.folders) > 1 for source in sources)

    @property
    def has_roles(self) -> bool:
        """Whether the folders are called input and target, or were named as such."""
        candidates = [candidate for split in self.splits for candidate in self._candidates(split)]
        sources = [*self._without_split, *(candidate.source for candidate in candidates)]
        return self.named or any(source is not None and source.has_roles for source in sources)

    def _source(self, split: str) -> Source:
        if split not in self.splits and not self._without_split:
            raise self._missing_split(split)
        sources = self._without_split or self._sources(split)
        if len(sources) > 1:
            self._refuse([str(source) for source in sources])
        if not sources:
            raise self._no_pairs(split)
        return sources[0]

    def _candidate(self, folder: Folder, names: tuple[str, ...], inner: str = "") -> Candidate:
        """Return the folders with these names in `folder`, or their subfolders called `inner`."""
        sides = [folder.at_path(name) if self.named else folder.child(name.lower()) for name in names]
        paths = tuple(folder.path / name / inner for name in names)
        if inner:
            sides = [side and side.child(inner) for side in sides]
        return Candidate(paths, tuple(sides), self.named or names == FOLDER_PAIRS[1])

    def _candidates(self, split: str) -> Iterator[Candidate]:
        """Yield all combinations of folders that could hold a split as two or more sides."""
        split_folder = self._split_folder(split)
        for names in self.folder_pairs:
            if split_folder is not None and not any(os.path.isabs(name) or ".." in Path(name).parts for name in names):
                yield self._candidate(split_folder, names)
            yield self._candidate(self.root, names, split)
        if not self.named:
            yield self._candidate(self.root, (f"{split}A", f"{split}B"))

    def _split_folder(self, split: str) -> Folder | None:
        return self.root.child(split) if self.data.root is not None else None

    def _is_on_disk(self, split: str) -> bool:
        if not self.named and self._split_folder(split) is not None:
            return True
        return any(candidate.found for candidate in self._candidates(split))

    def _sources(self, split: str) -> list[Source]:
        sources = [candidate.source for candidate in self._candidates(split)]
        return self._allowed([source for source in sources if source is not None], self._split_folder(split))

    def _find_without_split(self) -> list[Source]:
        """Return the sources of pairs without a split: two folders in the root, or images directly in it."""
        sources = [self._candidate(self.root, names).source for names in self.folder_pairs]
        without = [source for source in sources if source is not None and not _holds_only_splits(source)]
        return self._allowed(without, None if self.splits else self.root)

    def _allowed(self, sources: list[Source], folder: Folder | None) -> list[Source]:
        """Return the sources that data.layout allows, and `folder` if it can be a source of side-by-side images."""
        layout, allowed = self.data.layout, [] if self.data.layout == "side-by-side" else sources
        if folder is None or self.named or layout == "two-folders":
            return allowed
        sides = {name for names in FOLDER_PAIRS for name in names}
        groups = any(group.holds_images for group in folder.folders if group.name not in sides)
        return [*allowed, Source((folder,))] if folder.image_names or (groups and not sources) else allowed

    def _refuse(self, candidates: list[str]) -> None:
        layouts = [layout for layout in _LAYOUTS if self.data.layout == "auto" and self._is_clear(layout)]
        remedies = ["move all but one away"]
        if layouts:
            remedies.append(f"set data.layout to {' or '.join(layouts)}")
        if not self.named:
            remedies.append("set data.input and data.target to two folders")
        ways = f"can be read in {len(candidates)} ways: {', or '.join(candidates)}"
        raise DataError(f"{self.root.path}: {ways}; {', or '.join(remedies)}", code="ambiguous")

    def _is_clear(self, layout: str) -> bool:
        """Return whether each split could be read in exactly one way if data.layout were `layout`."""
        try:
            forced = FolderLayout(self.data.model_copy(update={"layout": layout}), self.root)
            return all(
                len(forced._without_split or forced._sources(split)) == 1 for split in forced.splits or ["train"]
            )
        except DataError:
            return False

    def _missing_split(self, split: str) -> DataError:
        """Return the error for a missing split; it names the splits or folders that exist."""
        root, folder = self.root.path, self.root.path / split
        if self.splits:
            text = f"{folder}: no such folder; {root} has {', '.join(self.splits)}"
        elif self.named:
            missing = self._candidate(self.root, self.folder_pairs[0]).missing
            text = f"{' and '.join(map(str, missing))}: no such folder; {root} holds {self.root.summary()}"
        else:
            text = (
                f"{folder}: no such folder; {root} has no split ({', '.join(SPLITS)}) and no {_KNOWN}; it holds "
                f"{self.root.summary()}; {REMEDY}"
            )
        return DataError(text, code="missing-split")

    def _no_pairs(self, split: str) -> DataError:
        """Return the error for a split that exists, but holds no pairs."""
        for candidate in self._candidates(split):
            if candidate.found and candidate.missing:
                names = "input and target" if candidate.has_roles else "a and b"
                return DataError(
                    f"{candidate.missing[0]}: no such folder, so {candidate.found[0].path} holds no pairs; the layout "
                    f"two-folders needs {names}",
                    code="no-pairs",
                )
        folder = self._split_folder(split) or self.root
        return DataError(
            f"{folder.path}: holds no pairs; it should hold {_KNOWN}; it holds {folder.summary()}; {REMEDY}",
            code="no-pairs",
        )


def _share_names(folder: Folder, other: Folder) -> bool:
    """Return whether most images of the smaller folder have the name of an image in the other one."""
    names = [{name for name, _ in either.images()} for either in (folder, other)]
    return 2 * len(names[0] & names[1]) > min(map(len, names)) > 0


def _holds_only_splits(source: Source) -> bool:
    """Return whether the sides hold folders of splits and no images of their own."""
    splits = any(side.child(split) for side in source.folders for split in SPLITS)
    return splits and not any(side.image_names for side in source.folders)
