"""Find the columns of a manifest that hold the inputs, the target and the split: as configured, or by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pix2pix.config.data import ColumnsConfig
from pix2pix.data.discovery.folders import first_ten
from pix2pix.data.discovery.tables import Table
from pix2pix.data.discovery.words import INPUTS, PICTURES, TARGETS, split_named
from pix2pix.errors import DataError

_NAMES = {
    "input": INPUTS | PICTURES | {"x"},
    "target": TARGETS | {"y"},
    "split": frozenset(("fold", "set", "split", "subset")),
}
# Endings that follow the role in column names, such as `mask_path`, `input_file_name` or `target_image`.
_ENDING = re.compile("_?(?:file_?names?|files?|paths?|images?|img|names?)$")


@dataclass(frozen=True)
class Columns:
    """The column numbers of a table, counted from 0; `split` is None if there is no such column."""

    inputs: tuple[int, ...]
    target: int
    split: int | None

    def in_words(self, table: Table) -> str:
        """Return which columns of a table are read, by their names; "" where they have none."""
        if not table.has_header:
            return ""
        inputs = " + ".join(repr(table.columns[number]) for number in self.inputs)
        words = f"the column {inputs} is the input and {table.columns[self.target]!r} the target"
        return words if self.split is None else f"{words}; {table.columns[self.split]!r} is the split"


def find_columns(table: Table, wanted: ColumnsConfig) -> Columns:
    """Return the columns of a table. Raises DataError if a column is missing or ambiguous."""
    if not table.has_header:
        return _by_position(table, wanted)
    given = {key: [_named(table, key, name) for name in names] for key, names in wanted.names.items()}
    roles = _by_name(table, given)
    for key in ("input", "target"):
        if len(roles[key]) != 1 and key not in given:
            raise _unclear(table, key, roles[key])
    split = given.get("split") or _split_columns(table)
    if len(split) > 1:
        raise _unclear(table, "split", split)
    inputs, target = tuple(roles["input"]), roles["target"][0]
    if target in inputs:
        raise DataError(
            f"its column {table.columns[target]!r} is both input and target",
            path=table.path,
            remedy="set data.columns.input and data.columns.target to two columns",
            code="columns",
        )
    return Columns(inputs, target, split[0] if split else None)


def _by_position(table: Table, wanted: ColumnsConfig) -> Columns:
    """Return the columns of a table without a header: input, target, and perhaps split."""
    first_line, count = f"{table.path}:1", len(table.columns)
    if wanted.names:
        raise DataError(
            "names files, not columns, so data.columns cannot name any",
            path=first_line,
            remedy="add a line with the names of the columns, or leave data.columns out",
            code="columns",
        )
    if count not in (2, 3):
        raise DataError(
            f"has {count} cells and no line above that names the columns",
            path=first_line,
            remedy="add such a line, or write input, target and perhaps split on each line",
            code="columns",
        )
    return Columns((0,), 1, 2 if count == 3 else None)


def _named(table: Table, key: str, name: str) -> int:
    """Return the column that data.columns names. Raises DataError unless there is exactly one."""
    numbers = [number for number, column in enumerate(table.columns) if column.lower() == name.strip().lower()]
    if len(numbers) == 1:
        return numbers[0]
    what = "has no column" if not numbers else f"has {len(numbers)} columns"
    raise DataError(
        f"{what} {name!r}, which data.columns.{key} names",
        path=f"{table.path}:1",
        remedy=f"its columns are {first_ten(table.columns)}",
        code="columns",
    )


def _by_name(table: Table, given: dict[str, list[int]]) -> dict[str, list[int]]:
    """Return the columns of each role: those given, or those called `input` and `target`, or those with usual names."""
    lower = [column.lower() for column in table.columns]
    roles = dict(given)
    if not given and {"input", "target"} <= {*lower}:
        roles = {key: [n for n, name in enumerate(lower) if name == key] for key in ("input", "target")}
    taken = {number for numbers in given.values() for number in numbers}
    images = [number for number in table.image_columns if number not in taken]
    for key, other in (("input", "target"), ("target", "input")):
        if key not in roles:
            usual = [number for number in images if _plain(lower[number]) in _NAMES[key]]
            roles[key] = images if other in given and len(images) == 1 else usual
    return roles


def _split_columns(table: Table) -> list[int]:
    """Return the columns called `split`, and those called `fold`, `set` or `subset` that hold names of splits.

    Where there are none, return those in which every cell is the name of a split.
    """
    by_name, by_content = [], []
    for number, name in enumerate(column.lower() for column in table.columns):
        cells = [row[number] for _, row in table.rows if row[number] not in (None, "")]
        if name in _NAMES["split"] and cells and (name == "split" or any(map(split_named, cells))):
            by_name.append(number)
        if len(cells) == len(table.rows) and all(map(split_named, cells)):
            by_content.append(number)
    return by_name or by_content


def _plain(name: str) -> str:
    """Return the part of a column name that shows the role: `mask` for `mask_path`, `image` for `image_file`."""
    plain = re.sub("[^a-z0-9]+", "_", name).strip("_")
    short = _ENDING.sub("", plain)
    if plain in _NAMES["input"] | _NAMES["target"]:
        return plain
    return plain if short == plain else _plain(short) if short else "image"


def _unclear(table: Table, key: str, candidates: Sequence[int]) -> DataError:
    names = [table.columns[number] for number in candidates or table.image_columns]
    count = f"{len(candidates)} columns that could be" if candidates else "no column whose name tells that it is"
    holding = "candidates" if candidates else "columns of image files"
    listed = f"{holding}: {first_ten(names)}" if names else f"columns: {first_ten(table.columns)}"
    remedy = f"set data.columns.{key} to the name of one"
    if not candidates and len(table.image_columns) == 1:  # naming it as both sides would pair images with themselves
        remedy = f"add a column with the other image of each pair, and name it in data.columns.{key}"
    return DataError(
        f"has {count} the {key} ({listed})",
        path=f"{table.path}:1",
        remedy=remedy,
        code="columns",
    )
