"""Read manifests: tables of the pairs of a data set, as CSV with a header or as JSON lines."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pix2pix.data.discovery.folders import SPLITS, first_ten
from pix2pix.data.images.files import EXTENSIONS, is_image
from pix2pix.errors import DataError
from pix2pix.runtime.opening import open_regular

SUFFIXES = (".csv", ".jsonl")
_COLUMNS = ("input", "target")


@dataclass(frozen=True)
class Row:
    """A row of a manifest. `key` names the input only; pairs are held out for validation by a hash of it."""

    place: str  # file:line
    name: str
    key: str
    input: Path
    target: Path
    split: str | None


def is_manifest(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a file with the suffix of a manifest."""
    return os.fspath(path).lower().endswith(SUFFIXES) and os.path.isfile(path)


def read_manifest(path: Path, missing: list[tuple[str, Path]] | None = None) -> list[Row]:
    """Return the pairs of a manifest in its order; paths in it are relative to its folder.

    Raises DataError, naming file and line, for missing columns or files, unknown splits and pairs listed twice. With
    `missing`, missing files are appended to it as (file:line, path) instead, and their pairs are left out.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: is not a manifest; its name should end with {' or '.join(SUFFIXES)}")
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            records = list((_csv if path.suffix.lower() == ".csv" else _json_lines)(path, file))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; fix data.manifest", code="missing-root") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not records:
        raise DataError(f"{path}: lists no pairs; write one on each line", code="no-pairs")
    splits = any(record.get("split") for _, record in records)
    rows = [_row(f"{path}:{line}", path.parent, record, splits) for line, record in records]
    gone = [(row.place, file) for row in rows for file in (row.input, row.target) if not os.path.isfile(file)]
    if missing is None:
        _require_none(path, gone)
        return _named(rows)
    missing += gone
    places = {place for place, _ in gone}
    return _named([row for row in rows if row.place not in places])


def _csv(path: Path, file: TextIO) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells by column) of every row that is not empty."""
    reader = csv.reader(file, strict=True)
    try:
        columns = [cell.strip().lower() for cell in next(reader, [])]
        if missing := [column for column in _COLUMNS if column not in columns]:
            raise DataError(
                f"{path}:1: has no column {' and no column '.join(missing)}; the first line names the columns "
                f"input,target or input,target,split, and here it is {','.join(columns)[:100]!r}"
            )
        if double := [column for column in (*_COLUMNS, "split") if columns.count(column) > 1]:
            raise DataError(f"{path}:1: has two columns called {double[0]}; remove one")
        for cells in reader:
            if len(cells) not in (0, len(columns)):
                raise DataError(
                    f"{path}:{reader.line_num}: has {len(cells)} cells where the first line has {len(columns)}; "
                    "put text that holds a comma in double quotes"
                )
            if any(cell.strip() for cell in cells):
                yield reader.line_num, dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{max(reader.line_num, 1)}: is not CSV ({error})") from None


def _json_lines(path: Path, file: TextIO) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells by column) of every line that is not empty."""
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise DataError(f'{path}:{line}: is not a JSON object such as {{"input": "a.png", "target": "b.png"}}')
        if missing := [column for column in _COLUMNS if column not in record]:
            raise DataError(f"{path}:{line}: has no {' and no '.join(missing)}; it has {first_ten(record)}")
        cells = {column: record.get(column) for column in (*_COLUMNS, "split")}
        if wrong := [column for column, cell in cells.items() if cell is not None and not isinstance(cell, str)]:
            raise DataError(f"{path}:{line}: {wrong[0]} is {cells[wrong[0]]!r}, but must be text")
        yield line, {column: cell or "" for column, cell in cells.items()}


def _row(place: str, folder: Path, record: dict[str, str], splits: bool) -> Row:
    split = record.get("split") or None
    for column in _COLUMNS:
        if not record[column]:
            raise DataError(f"{place}: has no {column}; name its file, or remove the line")
        if not is_image(Path(record[column])):
            kinds = " ".join(sorted(EXTENSIONS))
            raise DataError(f"{place}: {record[column]!r} is not the name of an image ({kinds})")
    if splits and split not in SPLITS:
        found = "no split, and other lines have one" if split is None else f"the split {split!r}"
        raise DataError(f"{place}: has {found}; the splits are {', '.join(SPLITS)}")
    key = _name(record["input"])
    return Row(place, key, key, folder / record["input"], folder / record["target"], split)


def _name(text: str) -> str:
    """Return the name of the pair of a file: its normalized path, without suffix, drive, root and `..`."""
    _, path = os.path.splitdrive(os.path.splitext(os.path.normpath(text))[0])
    return "/".join(part for part in path.split(os.sep) if part not in ("", ".."))


def _require_none(path: Path, missing: list[tuple[str, Path]]) -> None:
    if missing:
        names = first_ten(f"{place} {file}" for place, file in missing)
        raise DataError(
            f"{path}: lists {len(missing)} files that do not exist: {names}; paths are relative to "
            f"the manifest's folder {path.parent}"
        )


def _named(rows: list[Row]) -> list[Row]:
    """Give each row a unique name: where an input has several targets, their names are added."""
    seen: dict[tuple[str, str], Row] = {}
    for row in rows:
        files = (os.path.normpath(row.input), os.path.normpath(row.target))
        if files in seen:
            raise DataError(f"{seen[files].place} and {row.place} list the same pair; remove one")
        seen[files] = row
    shared = Counter(row.key for row in rows)
    named: dict[str, Row] = {}
    for row in rows:
        name = row.key if shared[row.key] == 1 else f"{row.key}--{row.target.stem}"
        if name in named:
            raise DataError(f"{named[name].place} and {row.place} have the same name, {name}; rename a file")
        named[name] = Row(row.place, name, row.key, row.input, row.target, row.split)
    return list(named.values())
