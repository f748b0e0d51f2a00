"""Open files that others may have created: only regular files, and in shared folders only those of this user."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO would wait for its writer
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; links to one are followed.

    Raises OSError as `open` does, and for a folder, a FIFO, a socket or a device, before anything is read from it.
    """
    _require_regular(os.stat(path))  # before opening, since opening a device can have side effects
    return _opened(os.open(path, os.O_RDONLY | _NO_WAIT | _FLAGS), "rb")


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """Read a regular file of at most `most` bytes. Raises OSError as `open_regular` does, and where it is larger."""
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes")
    return data


def open_trusted(path: str | os.PathLike[str], mode: str = "rb", flags: int = 0) -> BinaryIO:
    """Open a regular file of this user in a folder that others may write to; `flags` are added to those of `mode`.

    `mode`: "rb", "ab" or "r+b". A file of root may be read if only root can write to it. Raises OSError for
    links and other users' files.
    """
    access = {"rb": os.O_RDONLY, "ab": os.O_WRONLY | os.O_APPEND, "r+b": os.O_RDWR}[mode]
    try:
        handle = os.open(path, access | flags | _NO_WAIT | _NO_LINK | _FLAGS, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link") from None
        raise
    return _opened(handle, mode, users_only=True)


def create_new(path: Path) -> BinaryIO:
    """Create a file for this user alone. Raises FileExistsError where the path exists, even as a link."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _FLAGS, 0o600), "wb")


def belongs_to_user(state: os.stat_result) -> bool:
    """Return whether this is a regular file of this user (on systems without file owners: any regular file)."""
    return stat.S_ISREG(state.st_mode) and (not hasattr(os, "geteuid") or state.st_uid == os.geteuid())


def _opened(handle: int, mode: str, users_only: bool = False) -> BinaryIO:
    try:
        state = os.fstat(handle)
        _require_regular(state)
        roots = state.st_uid == 0 and mode == "rb" and not state.st_mode & 0o022
        if users_only and not belongs_to_user(state) and not roots:
            raise PermissionError(errno.EPERM, "it belongs to another user")
        return cast(BinaryIO, os.fdopen(handle, mode))
    except BaseException:
        os.close(handle)
        raise


def _require_regular(state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(stat.S_IFMT(state.st_mode), 'no file')}, not a regular file")
