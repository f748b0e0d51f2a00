"""Read manifests as tables: CSV, TSV and similar text, JSON lines, and Parquet."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pix2pix.data.images.files import is_image
from pix2pix.data.images.parquet import ParquetFile
from pix2pix.data.images.storage import open_archive, open_file, split_archive
from pix2pix.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_TEXT_SUFFIXES = (".txt",)  # tables only if a setting names the file
_DELIMITERS = {".csv": ",;\t", ".tsv": "\t", ".txt": "\t,; "}  # on a tie, the first of them


@dataclass(frozen=True)
class Table:
    """A table of text: the rows that are not empty, each with its location (file:line) and a cell for each column.

    A cell is None if a JSON object has no such key, and of another type than str if the JSON value is not a string.
    `has_header`: whether the columns have names. `folder`: what paths in it are relative to. `names`: of the pair in
    each row, where cells hold images rather than paths.
    """

    path: Path
    columns: list[str]
    rows: list[tuple[str, list[object]]]
    folder: Path
    has_header: bool = True
    names: list[list[str]] | None = None

    @property
    def image_columns(self) -> list[int]:
        """The columns whose first cell that is not empty is the name of an image file."""
        firsts = (
            next((row[column] for _, row in self.rows if row[column]), None) for column in range(len(self.columns))
        )
        return [column for column, cell in enumerate(firsts) if isinstance(cell, str) and is_image(Path(cell))]


def read_table(path: Path) -> Table:
    """Read a manifest. Raises DataError, naming file and line, if it cannot be read."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES + _TEXT_SUFFIXES:
        raise DataError(
            "is not a manifest", path=path, remedy=f"its name should end with {' or '.join(SUFFIXES)}", code="manifest"
        )
    try:
        if suffix == ".parquet":
            return _parquet(path)
        with io.TextIOWrapper(open_file(path), encoding="utf-8-sig", newline="") as file:
            table = _json_lines(path, file) if suffix == ".jsonl" else _delimited(path, file)
    except FileNotFoundError:
        raise DataError("no such file", path=path, remedy="fix data.manifest", code="missing-root") from None
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", path=path, remedy="save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path, remedy="fix data.manifest") from None
    if not table.rows:
        raise DataError("lists no pairs", path=path, remedy="write one on each line", code="no-pairs")
    return table


def _delimited(path: Path, file: TextIO) -> Table:
    """Read a table whose cells are separated by commas, semicolons or tabs, in a .txt also by spaces.

    The first line names the columns, unless it names an image file.
    """
    first = next((line for line in file if line.strip()), "")
    file.seek(0)
    options = _DELIMITERS[path.suffix.lower()]
    delimiter = max(options, key=lambda option: (len(_cells(first, option)), -options.index(option)))
    reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[tuple[str, list[object]]] = []
    columns: list[str] = []
    try:
        for cells in reader:
            cells = [_portable(path, cell.strip()) for cell in cells]
            if not any(cells):
                continue
            columns = columns or cells
            if len(cells) != len(columns):
                raise DataError(
                    f"has {len(cells)} cells where the first line has {len(columns)}",
                    path=f"{path}:{reader.line_num}",
                    remedy=f"put text that holds {delimiter!r} in double quotes",
                )
            rows.append((f"{path}:{reader.line_num}", list(cells)))
    except csv.Error as error:
        raise DataError(
            f"cannot be read as a table ({error})", path=f"{path}:{max(reader.line_num, 1)}", remedy="fix its quotes"
        ) from None
    has_header = not any(is_image(Path(cell)) for cell in columns)
    if not has_header:
        columns = [f"column {number}" for number in range(1, len(columns) + 1)]
    return Table(path, columns, rows[has_header:], path.parent, has_header)


def _portable(path: Path, cell: str) -> str:
    r"""Return a cell; where it is a path that Windows wrote, such as `images\1.png`, with slashes."""
    if "\\" not in cell or os.path.lexists(path.parent / cell):
        return cell
    slashed = cell.replace("\\", "/")
    return slashed if is_image(slashed) else cell


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _json_lines(path: Path, file: TextIO) -> Table:
    """Read JSON objects, one on each line; the columns are all of their keys."""
    records = list(_json_records(path, file))
    columns = list(dict.fromkeys(key for _, record in records for key in record))
    rows: list[tuple[str, list[object]]] = []
    for location, record in records:
        cells = [record.get(key) for key in columns]
        rows.append((location, [_portable(path, cell) if isinstance(cell, str) else cell for cell in cells]))
    return Table(path, columns, rows, path.parent)


def _json_records(path: Path, file: TextIO) -> Iterator[tuple[str, dict[str, object]]]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise DataError(
                "is not a JSON object",
                path=f"{path}:{line}",
                remedy='write one such as {"input": "a.png", "target": "b.png"}',
            )
        yield f"{path}:{line}", record


def _parquet(path: Path) -> Table:
    """Read a Parquet file: cells that hold image files become their paths in the file, others are text.

    A pair is named after the file name in its image's cell, or after the row number if there is none.
    """
    inside = split_archive(path)
    if inside is None:
        raise FileNotFoundError(path)
    if inside[1]:
        raise DataError("is in an archive", path=path, remedy="unpack it, since Parquet files are not read there")
    file = open_archive(path)
    assert isinstance(file, ParquetFile)
    columns: list[list[object]] = []
    names: list[list[str]] = []
    for column in file.columns:
        texts = file.texts(column)
        given = [os.path.splitext(text)[0] if text else str(row) for row, text in enumerate(texts)]
        names.append(given if len(set(given)) == len(given) else [f"{row}" for row in range(file.rows)])
        is_held = column in file.image_columns
        suffix = file.suffix(column) if is_held else ""
        columns.append([f"{row}/{column}{suffix}" if is_held else text for row, text in enumerate(texts)])
    rows: list[tuple[str, list[object]]] = [
        (f"{path}:{number}", list(cells)) for number, cells in enumerate(zip(*columns, strict=True), start=1)
    ]
    if not rows:
        raise DataError("lists no pairs", path=path, remedy="write one in each row", code="no-pairs")
    if not file.image_columns:
        return Table(path, file.columns, rows, path.parent)
    return Table(path, file.columns, rows, path, names=names)


def name_in(folder: Path, file: Path) -> str:
    """Return the path of a file relative to a folder, without suffix, drive, root and `..`."""
    full = os.path.abspath(file)
    try:
        relative = os.path.relpath(full, os.path.abspath(folder))
    except ValueError:  # on another drive
        relative = full
    _, path = os.path.splitdrive(os.path.splitext(relative)[0])
    return "/".join(part for part in re.split(r"[\\/]" if os.sep == "\\" else "/", path) if part not in ("", ".", ".."))
