"""Parquet files, whose cells hold image files: bytes, or structs of `bytes` and `path`, as Hugging Face writes them.

A cell is named `<row>/<column><suffix>`, such as `12/image.png`; rows are counted from 0. pyarrow is in the `formats`
extra. A row can only be read with its whole row group, so the last few row groups stay in memory.
"""

import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from pix2pix.data.images.archives import MOST_BYTES
from pix2pix.errors import DataError

if TYPE_CHECKING:
    import pyarrow

MOST_GROUP_BYTES = 1 << 30  # size limit of a column in a row group, unpacked
_GROUPS = 4  # row groups of a column in memory: those of an input and a target, and the next ones
_MAGICS = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"\x93NUM": ".npy",
}


class ParquetFile:
    """The cells of a Parquet file. Threads may share it; each process needs its own.

    `columns`: the names of all columns, and `image_columns` of those that hold image files. Raises DataError where
    pyarrow is missing or the file is damaged, and OSError.
    """

    def __init__(self, path: Path):
        if find_spec("pyarrow") is None:
            raise DataError(
                "is a Parquet file",
                path=path,
                remedy="reading it needs: pip install 'pix2pix[formats]'",
                code="archive",
            )
        import pyarrow
        from pyarrow import parquet

        self.path, self._lock = path, threading.Lock()
        self._errors = (pyarrow.ArrowException, OSError, ValueError)
        try:
            self._file = parquet.ParquetFile(path, memory_map=True, pre_buffer=False)
        except FileNotFoundError:
            raise
        except self._errors as error:
            raise self._damaged(error) from None
        schema, metadata = self._file.schema_arrow, self._file.metadata
        self.columns: list[str] = schema.names
        self.image_columns = [field.name for field in schema if _holds_files(field.type)]
        self.rows: int = metadata.num_rows
        counts = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        self._firsts = list(accumulate(counts, initial=0))  # the first row of each row group
        self._groups: OrderedDict[tuple[int, str], pyarrow.ChunkedArray] = OrderedDict()

    def has(self, name: str) -> bool:
        """Return whether a cell of this name holds an image file."""
        row, column = _split(name)
        return column in self.image_columns and 0 <= row < self.rows

    def texts(self, column: str) -> list[str | None]:
        """Return a column as text; for a column of images, the `path` of each, or None.

        Raises DataError.
        """
        selected, kind = column, self._file.schema_arrow.field(column).type
        if column in self.image_columns:
            if not _is_struct(kind) or kind.get_field_index("path") < 0:
                return [None] * self.rows
            selected = f"{column}.path"
        try:
            cells = self._file.read(columns=[selected], use_threads=False).column(column).to_pylist()
        except self._errors as error:
            raise self._damaged(error) from None
        paths = [cell.get("path") if isinstance(cell, dict) else cell for cell in cells]
        return [None if path is None else str(path) for path in paths]

    def suffix(self, column: str) -> str:
        """Return the suffix of a column's first image by its first bytes; ".png" if the format is unknown."""
        data = self.read(f"0/{column}.") if self.rows else b""
        return next((suffix for magic, suffix in _MAGICS.items() if data.startswith(magic)), ".png")

    def read(self, name: str) -> bytes:
        """Return the image file in a cell. Raises FileNotFoundError, DataError, and ValueError where it is damaged."""
        row, column = _split(name)
        if not self.has(name):
            raise FileNotFoundError(name)
        group = bisect_right(self._firsts, row) - 1
        cell = self._column(group, column)[row - self._firsts[group]].as_py()
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if data is None:
            raise DataError(
                "has no bytes",
                path=self.path / name,
                remedy="write the image files into the Parquet file, not only their paths",
            )
        if len(data) > MOST_BYTES:
            raise DataError(f"has {len(data):,} bytes, and at most {MOST_BYTES:,} are read", path=self.path / name)
        return bytes(data)

    def _column(self, group: int, column: str) -> "pyarrow.ChunkedArray":
        """Return a column of a row group, from memory if it was read recently."""
        key = (group, column)
        with self._lock:
            if key not in self._groups:
                self._require_small(group)
                try:
                    table = self._file.read_row_group(group, columns=[column], use_threads=False)
                except self._errors as error:
                    raise self._damaged(error) from None
                self._groups[key] = table.column(0)
                if len(self._groups) > _GROUPS:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(key)
            return self._groups[key]

    def _require_small(self, group: int) -> None:
        size = self._file.metadata.row_group(group).total_byte_size
        if size > MOST_GROUP_BYTES:
            raise DataError(
                f"has a row group of {size:,} bytes, and at most {MOST_GROUP_BYTES:,} are read at once",
                path=self.path,
                remedy="write it again with smaller row groups, such as row_group_size=100",
                code="archive",
            )

    def _damaged(self, error: Exception) -> DataError:
        reason = " ".join(str(error).split())
        return DataError(f"is damaged ({reason})", path=self.path, remedy="get it or write it again", code="archive")


def _split(name: str) -> tuple[int, str]:
    """Return the row and the column in a cell's name; row -1 if it has none."""
    row, _, rest = name.partition("/")
    return int(row) if re.fullmatch("[0-9]{1,12}", row) else -1, rest.rpartition(".")[0]


def _is_struct(kind: "pyarrow.DataType") -> bool:
    from pyarrow import types

    return bool(types.is_struct(kind))


def _holds_files(kind: "pyarrow.DataType") -> bool:
    """Return whether cells of this type are bytes, or structs of bytes and optionally a path."""
    from pyarrow import types

    if _is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_files(kind.field(index).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))
