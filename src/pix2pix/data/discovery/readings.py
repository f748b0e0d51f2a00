"""The possible readings of a data set: which folders are the sides of the pairs, by the roles that their names show."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from pathlib import Path

from pix2pix.data.discovery.halves import measure_halves
from pix2pix.data.discovery.matching import Match, match_sides
from pix2pix.data.discovery.names import tokens
from pix2pix.data.discovery.one_folder import differ_in_numbers_alone, match_one_folder
from pix2pix.data.discovery.pairing import Unmatched
from pix2pix.data.discovery.sides import SideFolders, by_first_folder
from pix2pix.data.discovery.sources import by_name
from pix2pix.data.discovery.words import LETTERS, SPLITS, role_of
from pix2pix.errors import DataError

_SHOWN = 4  # readings that an error lists
_MOST_OF_A_CASE = 10  # images in a folder that may be a pair, such as image.png and mask.png


@dataclass(frozen=True)
class Reading:
    """The sides of pairs, the target last. `is_proposed`: the names of the folders propose which is which."""

    sides: tuple[SideFolders, ...]
    is_proposed: bool = True

    @property
    def splits(self) -> list[str]:
        """The splits that every side has; a side without splits serves them all."""
        with_splits = [side.splits for side in self.sides if side.splits != {""}]
        return [split for split in SPLITS if with_splits and all(split in some for some in with_splits)]

    @property
    def is_possible(self) -> bool:
        """Whether there is a split, or none at all, that every side has."""
        return bool(self.splits) or all("" in side.splits for side in self.sides)

    @cached_property
    def is_matched(self) -> bool:
        """Whether most images of the smallest side have partners of matching names."""
        images = self.images(next(iter(self.splits), ""), Unmatched())
        match = match_sides([list(named) for named in images])
        return match.holds_most if isinstance(match, Match) else bool(match.patterns)

    def images(self, split: str, unmatched: Unmatched | None) -> list[dict[str, Path]]:
        """Return the images of a split by name, for each side. Raises DataError if two have the same name."""
        images = []
        for side in self.sides:
            lead = side.lead
            others = [group.rest for other in self.sides if other is not side for group in other.groups]
            dropped = () if any(rest[: len(lead)] == lead for rest in others) else lead
            named = side.named(split if side.splits != {""} else "", dropped)
            images.append(by_name(named, unmatched))
        return images


def find_readings(sides: Sequence[SideFolders]) -> list[Reading]:
    """Return the possible readings. If file names match but folder names show no roles, `is_proposed` is False."""
    roles = {side.role for side in sides}
    for first, second in LETTERS:
        if {first, second} <= roles:
            return _possible(sides, {first}, {second})
    if "target" in roles and roles & {"input", "picture"}:
        readings = _possible(sides, {"input", "picture"}, {"target"})
    else:
        readings = _possible(sides, {"input"}, {"picture"})
    if len(readings) > 1:
        return [reading for reading in readings if reading.is_matched] or readings
    return readings or _implied(sides) or _neutral(sides)


def several_readings(root: Path, readings: Sequence[Reading]) -> DataError:
    """Return the error that lists the readings and the settings that choose one."""
    ways = ", or ".join(" and ".join(str(side.shown) for side in reading.sides) for reading in readings[:_SHOWN])
    more = f", or {len(readings) - _SHOWN} more" if readings[_SHOWN:] else ""
    many = f"can be read in {len(readings)} ways: " if len(readings) > 1 else "may have the two sides of its pairs in "
    order = "" if readings[0].is_proposed else "; their names do not tell which is the input"
    settings = [
        f"data.input: {reading.sides[0].setting!r} and data.target: {reading.sides[-1].setting!r}"
        for reading in readings[:_SHOWN]
    ]
    return DataError(
        f"{many}{ways}{more}{order}",
        path=root,
        remedy=f"set {', or '.join(settings)}{'' if readings[0].is_proposed else ', or the reverse'}",
        code="ambiguous",
    )


def _possible(sides: Sequence[SideFolders], inputs: set[str], targets: set[str]) -> list[Reading]:
    choices = [[side for side in sides if side.role in wanted] for wanted in (inputs, targets)]
    return [reading for pair in product(*choices) if (reading := Reading(pair)).is_possible]


def _implied(sides: Sequence[SideFolders]) -> list[Reading]:
    """Return the readings that pair a folder without a role with a target or an input."""
    unnamed = [side for side in sides if side.role not in ("input", "target", "picture")]
    readings: dict[frozenset[str], Reading] = {}
    for named in sides:
        for other in [*unnamed, *(inner for side in unnamed for inner in by_first_folder(side))]:
            if named.role not in ("input", "target"):
                continue
            reading = Reading((other, named) if named.role == "target" else (named, other))
            if reading.is_possible and reading.is_matched and not _is_side_by_side(other):
                folders = frozenset(str(group.folder.path) for side in reading.sides for group in side.groups)
                readings.setdefault(folders, reading)
    return list(readings.values())


def _neutral(sides: Sequence[SideFolders]) -> list[Reading]:
    """Return the readings of two folders without roles that have the same splits and matching images.

    Folders that hold pairs themselves, such as those of a class or a scene, are not sides.
    """
    choices = [side for side in sides if side.role == "picture"]
    choices += [inner for side in sides if not side.role for inner in by_first_folder(side)]
    outer = [side for side in choices if all(group.parts[0].template == side.name for group in side.groups)]
    pairs = [Reading(pair, is_proposed=False) for pair in combinations(outer, 2) if pair[0].splits == pair[1].splits]
    return [reading for reading in pairs if reading.is_matched and not any(map(_holds_pairs, reading.sides))]


def _holds_pairs(side: SideFolders) -> bool:
    """Return whether the names of a side's images show two kinds of them: `1` and `1_mask`, or `image` and `mask`."""
    names = [name for name, _ in side.named(min(side.splits))]
    roles = {role_of(tokens(name)) for name in names} if len(names) < _MOST_OF_A_CASE else set()
    if "target" in roles and roles & {"input", "picture"}:
        return True
    return not differ_in_numbers_alone(names) and match_one_folder(names) is not None


def _is_side_by_side(side: SideFolders) -> bool:
    """Return whether the images of a side are clearly side-by-side pairs."""
    halves = measure_halves([path for split in sorted(side.splits) for _, path in side.named(split)])
    return halves is not None and halves.is_broken and halves.agree
