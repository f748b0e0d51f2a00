"""Files and folders, on disk or in an archive.

The path of a member is the path of its archive, then the path in it: `set.zip/train/1.png`. So a pair holds ordinary
paths, wherever its files are. Zip and tar archives are read in place, each process through its own handle.
"""

import io
import os
import posixpath
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pix2pix.data.images.archives import Archive, TarArchive, ZipArchive
from pix2pix.data.images.parquet import ParquetFile
from pix2pix.errors import DataError
from pix2pix.runtime.opening import open_regular

_READERS: dict[str, Callable[[Path], Archive | ParquetFile]] = {
    ".zip": ZipArchive,
    ".tar": TarArchive,
    ".parquet": ParquetFile,
}
_SUFFIX = re.compile(r"\.(?:zip|tar|parquet)(?=[/\\]|$)", re.IGNORECASE)
_COMPRESSED_TAR = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")

_opened: dict[
    str, tuple[object, Archive | ParquetFile]
] = {}  # by path, with a value that shows whether it is up to date
_last = threading.local()  # the member that this thread read last: decoders open a file several times


class FileState(NamedTuple):
    """The size of a file, and its modification time in ns; for a member of an archive, the archive's time."""

    size: int
    mtime_ns: int


def split_archive(path: str | Path) -> tuple[Path, str] | None:
    """Split a path into the archive's path and the path inside it, "" for the archive itself; None for other paths."""
    text = os.fspath(path)
    for match in _SUFFIX.finditer(text):
        archive = text[: match.end()]
        if os.path.isfile(archive):
            inner = posixpath.normpath(text[match.end() + 1 :].replace(os.sep, "/"))
            return Path(archive), "" if inner == "." else inner
    return None


def is_compressed_tar(path: str | Path) -> bool:
    """Return whether the name is that of a compressed tar archive, whose members cannot be read one by one."""
    return os.fspath(path).lower().endswith(_COMPRESSED_TAR)


def open_archive(path: Path) -> Archive | ParquetFile:
    """Return an archive opened by this process; open it again if the file has changed. Raises DataError and OSError."""
    status = os.stat(path)
    state = (os.getpid(), status.st_ino, status.st_size, status.st_mtime_ns)
    key = os.fspath(path)
    known = _opened.get(key)
    if known is None or known[0] != state:
        known = _opened[key] = (state, _READERS[path.suffix.lower()](path))
    return known[1]


def open_file(path: str | Path) -> BinaryIO:
    """Open a regular file or a member of an archive for reading. Raises as `open_regular` and `open_member` do."""
    return open_member(path) or open_regular(path)


def open_member(path: str | Path) -> io.BytesIO | None:
    """Read a member of an archive; None for any other path.

    Raises FileNotFoundError where it does not exist, DataError for an archive that is damaged or unsafe, and
    ValueError for a damaged member.
    """
    inside = split_archive(path)
    if inside is None or not inside[1]:
        return None
    archive = open_archive(inside[0])
    if (archive, inside[1]) != getattr(_last, "member", None):
        _last.member = None
        _last.content = archive.read(inside[1])
        _last.member = (archive, inside[1])
    return io.BytesIO(_last.content)


def list_archive(path: Path) -> tuple[list[str], list[str]] | None:
    """Return the names of the files and folders directly in an archive or a folder of one; None for other paths.

    Raises DataError and OSError.
    """
    inside = split_archive(path)
    archive = None if inside is None else open_archive(inside[0])
    return archive.listing(inside[1]) if inside is not None and isinstance(archive, Archive) else None


def is_folder(path: str | Path) -> bool:
    """Return whether this is a folder, a zip or tar archive, or a folder in one. Raises DataError and OSError."""
    return os.path.isdir(path) or list_archive(Path(path)) is not None


def is_file(path: str | Path) -> bool:
    """Return whether this is a file or a member of an archive. Raises DataError and OSError."""
    if os.path.isfile(path):
        return True
    inside = split_archive(path)
    return inside is not None and open_archive(inside[0]).has(inside[1])


def file_state(path: Path) -> FileState:
    """Return the size and time of a file or a member; for a row of a Parquet file, those of the file. Raises OSError
    and DataError."""
    inside = split_archive(path)
    status = os.stat(path if inside is None else inside[0])
    archive = None if inside is None else open_archive(inside[0])
    if inside is None or not isinstance(archive, Archive):
        return FileState(status.st_size, status.st_mtime_ns)
    if inside[1] not in archive.members:
        raise FileNotFoundError(2, "no such file in the archive", os.fspath(path))
    return FileState(archive.members[inside[1]].size, status.st_mtime_ns)


def open_for_digest(path: Path) -> BinaryIO:
    """Open the file whose content identifies `path`: that file or member; for a row of a Parquet file, the whole file.

    Reading single rows would unpack the file many times. Raises OSError and DataError.
    """
    inside = split_archive(path)
    is_row = inside is not None and not isinstance(open_archive(inside[0]), Archive)
    try:
        return open_file(inside[0] if is_row and inside is not None else path)
    except ValueError as error:
        raise DataError(f"is damaged ({error})", path=path, remedy="remove it or replace it") from None
