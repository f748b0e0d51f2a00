"""The layout of data sets whose folder names show splits and roles: `train` and `trainannot`, or `low` and `high`.

Which side is the input is only a proposal: the plan shows it, and data.direction b2a swaps it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pix2pix.config import DataConfig
from pix2pix.data.discovery.folders import Folder
from pix2pix.data.discovery.matching import Match, match_sides
from pix2pix.data.discovery.pairing import PairingSettings, Unmatched, pair_files
from pix2pix.data.discovery.readings import Reading, find_readings, several_readings
from pix2pix.data.discovery.sides import SideFolders, find_sides, wrapped_root
from pix2pix.data.discovery.sources import Listing, listing_of
from pix2pix.data.discovery.split_lists import SplitList, find_split_lists
from pix2pix.data.discovery.words import SPLITS
from pix2pix.data.images.settings import at_most
from pix2pix.errors import DataError


class ArrangedLayout:
    """The layout of one reading. `splits`: the splits on disk, or those of split lists."""

    is_empty = False

    def __init__(self, data: DataConfig, root: Folder, base: Folder, reading: Reading):
        self.data, self.root, self.reading = data, root, reading
        self.has_roles = not reading.is_proposed
        self._lists = {} if reading.splits else find_split_lists(base.path)
        self.splits = reading.splits or [split for split in SPLITS if split in self._lists]

    def listing(self, split: str, unmatched: Unmatched | None = None) -> Listing:
        """List the pairs of a split, or all pairs if there are no splits. Raises DataError as `Source.listing` does."""
        if self.splits and split not in self.splits:
            raise DataError(
                f"has no split {split}", path=self.root.path, remedy=f"it has {', '.join(self.splits)}",
                code="missing-split",
            )  # fmt: skip
        sides = self.reading.sides
        images = self.reading.images(split, unmatched)
        partial = [bool(self.splits) and not self._lists and side.splits == {""} for side in sides]
        listed = self._lists.get(split)
        if listed is not None:
            skipped = unmatched.missing if unmatched is not None else [] if self.data.unmatched == "skip" else None
            images, partial = listed.restrict(self.root.path, images, skipped)
        if any(partial):
            images = _with_partners(images, partial)
        settings = PairingSettings(self.data.unmatched == "skip", unmatched, self.root.path)
        label = f"{self.root.path}: {' and '.join(str(side.shown) for side in sides)}"
        folders = tuple(self._shown(side, split) for side in sides)
        pairs = pair_files(label, folders, images, settings)
        if listed is not None:
            listed.require_partners(pairs.files)
        listing = listing_of("two-folders", self.has_roles, pairs, folders)
        return replace(listing, evidence=self._evidence(folders, listed))

    def _shown(self, side: SideFolders, split: str) -> Path:
        """Return the folder of a side, with the split as it is spelled on disk; * replaces parts that differ."""
        paths = [group.folder.path.parts for group in side.groups if group.split in (split, "")] or [()]
        length = min(map(len, paths))
        same = [
            parts[0] if len({*parts}) == 1 else "*" for parts in zip(*(path[:length] for path in paths), strict=True)
        ]
        return Path(*same, *(["**"] if any(len(path) > length for path in paths) else []))

    def _evidence(self, folders: Sequence[Path], listed: SplitList | None) -> str:
        """Describe which side is the input, why, and which file lists the split."""
        reasons = []
        if self.reading.is_proposed and self.reading.sides[0].role != "a":
            names = [
                folder.name if "{split}" in side.name else side.name or folder.name or "the root"
                for folder, side in zip(folders, self.reading.sides, strict=True)
            ]
            input_name, target_name = reversed(names) if self.data.direction == "b2a" else names
            how = "as data.direction says" if self.data.direction else "by their names (data.direction: b2a swaps them)"
            reasons.append(f"{input_name} is the input and {target_name} the target {how}")
        if listed is not None:
            reasons.append(f"the splits are listed in {listed.path}")
        return "; ".join(reasons)


def find_arrangement(data: DataConfig, root: Folder) -> ArrangedLayout | None:
    """Return the layout that folder names show, or that data.input and data.target choose; None if there are no pairs.

    Raises DataError if several readings are possible or the names do not show which side is the input, and OSError.
    """
    base = wrapped_root(root)
    if data.input is not None and data.target is not None:
        chosen = [name.lower() for name in (*data.inputs, data.target)]
        sides = {side.name.lower(): side for side in find_sides(base, chosen) if side.role}
        if not all(name in sides for name in chosen):
            return None
        reading = Reading(tuple(sides[name] for name in chosen), is_proposed=False)
        return ArrangedLayout(data, root, base, reading) if reading.is_possible else None
    with at_most(data.max_pixels):
        readings = find_readings(find_sides(base))
    if len(readings) > 1 or (readings and not readings[0].is_proposed):
        raise several_readings(root.path, readings)
    return ArrangedLayout(data, root, base, readings[0]) if readings else None


def _with_partners(images: list[dict[str, Path]], partial: Sequence[bool]) -> list[dict[str, Path]]:
    """Return the images of each side; those of the `partial` sides only if they have a partner."""
    match = match_sides([list(named) for named in images])
    if not isinstance(match, Match):
        return images
    left_out = [{*names} if is_partial else set() for names, is_partial in zip(match.unpaired, partial, strict=True)]
    return [
        {name: path for name, path in named.items() if name not in names}
        for named, names in zip(images, left_out, strict=True)
    ]
