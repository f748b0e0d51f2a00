"""Manifests: tables of the pairs of a data set."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pix2pix.config.data import ColumnsConfig
from pix2pix.data.discovery.columns import Columns, find_columns
from pix2pix.data.discovery.folders import first_ten
from pix2pix.data.discovery.tables import SUFFIXES, Table, name_in, read_table
from pix2pix.data.discovery.words import SPLITS, split_named
from pix2pix.data.images.files import EXTENSIONS, is_image
from pix2pix.data.images.storage import is_file, list_archive
from pix2pix.errors import DataError

_IN_FOLDER = ("metadata.csv", "metadata.jsonl")  # Hugging Face's names for the list of a folder's images


@dataclass(frozen=True)
class Row:
    """A row of a manifest. `key` names the first input only; pairs are held out for validation by a hash of it.

    `columns`: in words, which columns were read.
    """

    location: str  # file:line
    name: str
    key: str
    files: tuple[Path, ...]  # the inputs, then the target
    split: str | None
    columns: str = ""


class Manifest(NamedTuple):
    """A manifest, and the split of all its pairs if its folder or its name shows it."""

    path: Path
    split: str | None = None


def is_manifest(path: str | Path) -> bool:
    """Return whether a path is a file with the suffix of a manifest, or a .txt, which a setting must name."""
    return os.fspath(path).lower().endswith((*SUFFIXES, ".txt")) and is_file(path)


def manifests_in(root: Path) -> list[Manifest]:
    """Return the manifests of a folder: its `metadata.csv` or `.jsonl`, those of its splits, or its Parquet files.

    A metadata file is a manifest only if each line names two or more image files. Parquet files are in the folder or in
    `data`, and their names begin with the split, as in `train-00000-of-00002.parquet`. Raises DataError and OSError.
    """
    for folders in ([root], _split_folders(root)):
        paths = [folder / name for folder in folders for name in _IN_FOLDER if is_file(folder / name)]
        manifests = [Manifest(path, None if path.parent == root else split_named(path.parent.name)) for path in paths]
        if manifests and all(len(read_table(manifest.path).image_columns) > 1 for manifest in manifests):
            return manifests
    for folder in (root, root / "data"):
        names = [name for name in _names(folder) if name.lower().endswith(".parquet") and not name.startswith(".")]
        if names:
            return [Manifest(folder / name, split_named(re.split("[^A-Za-z]", name)[0])) for name in names]
    return []


def _names(folder: Path) -> list[str]:
    """Return the sorted names in a folder on disk; none if there is no such folder."""
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _split_folders(root: Path) -> list[Path]:
    archived = list_archive(root)
    return [root / name for name in (_names(root) if archived is None else archived[1]) if split_named(name)]


def read_manifests(
    manifests: Sequence[Manifest], wanted: ColumnsConfig, missing: list[tuple[str, Path]] | None = None
) -> list[Row]:
    """Return the pairs of manifests in their order; paths in one are relative to its folder.

    Raises DataError, naming file and line, for missing columns or files, unknown splits and pairs listed twice. With
    `missing`, missing files are appended to it as (file:line, path) instead, and their pairs are left out.
    """
    rows = [row for manifest in manifests for row in _rows(manifest, wanted)]
    if any(row.split for row in rows) and (without := next((row for row in rows if not row.split), None)):
        raise _unknown_split(without.location, "no split, and other lines have one")
    absent = [(row.location, file) for row in rows for file in row.files if not is_file(file)]
    if missing is None:
        _require_none(manifests[0].path, absent)
        return _named(rows)
    missing += absent
    locations = {location for location, _ in absent}
    return _named([row for row in rows if row.location not in locations])


def _rows(manifest: Manifest, wanted: ColumnsConfig) -> list[Row]:
    table = read_table(manifest.path)
    columns = find_columns(table, wanted)
    words = columns.in_words(table)
    return [_row(table, columns, number, manifest.split, words) for number in range(len(table.rows))]


def _row(table: Table, columns: Columns, number: int, split: str | None, words: str) -> Row:
    location, cells = table.rows[number]
    files = tuple(table.folder / _file(table, location, cells, column) for column in (*columns.inputs, columns.target))
    if columns.split is not None and (cell := cells[columns.split]) not in (None, ""):
        split = split_named(cell)
        if split is None:
            raise _unknown_split(location, f"the split {cell!r}")
    elif columns.split is not None:
        split = None
    key = name_in(table.folder, files[0]) if table.names is None else table.names[columns.inputs[0]][number]
    return Row(location, key, key, files, split, words)


def _file(table: Table, location: str, cells: list[object], column: int) -> str:
    """Return the file that a cell names. Raises DataError."""
    cell, name = cells[column], table.columns[column]
    if cell is None or cell == "":
        raise DataError(f"has no {name}", path=location, remedy="name its file, or remove the line")
    if not isinstance(cell, str):
        raise DataError(f"{name} is {cell!r}", path=location, remedy="write the name of a file as text")
    if not is_image(Path(cell)):
        kinds = " ".join(sorted(EXTENSIONS))
        raise DataError(f"{cell!r} is not the name of an image ({kinds})", path=location, remedy="name an image file")
    return cell


def _unknown_split(location: str, what: str) -> DataError:
    return DataError(
        f"has {what}", path=location, remedy=f"the splits are {', '.join(SPLITS)}; or set data.columns.split"
    )


def _require_none(path: Path, missing: list[tuple[str, Path]]) -> None:
    if missing:
        names = first_ten(f"{location} {file}" for location, file in missing)
        raise DataError(
            f"lists {len(missing)} files that do not exist: {names}",
            path=path,
            remedy=f"paths are relative to the manifest's folder {path.parent}",
            code="missing",
        )


def _named(rows: list[Row]) -> list[Row]:
    """Give each row a unique name: if an input has several targets, the target's name is appended."""
    seen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        files = tuple(map(os.path.abspath, row.files))
        if files in seen:
            raise DataError(
                f"lists the same pair as {seen[files].location}", path=row.location, remedy="remove one of them"
            )
        seen[files] = row
    shared = Counter(row.key for row in rows)
    named: dict[str, Row] = {}
    for row in rows:
        name = row.key if shared[row.key] == 1 else f"{row.key}--{row.files[-1].stem}"
        if name in named:
            raise DataError(
                f"has the same name as {named[name].location}, {name}", path=row.location, remedy="rename a file"
            )
        named[name] = replace(row, name=name)
    return list(named.values())
