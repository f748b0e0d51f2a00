"""Lock files: one process at a time, named to whoever comes second.

The kernel holds the lock and drops it with its process, however that ends and whatever the machine is called then. A
small JSON note beside the lock file says who holds it. The note only feeds messages, so a stale one never blocks.
"""

import contextlib
import errno
import json
import os
import platform
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pix2pix.errors import CheckpointError
from pix2pix.runtime.io import replace_atomically
from pix2pix.runtime.signals import Stopped, stop_requested
from pix2pix.text import show_text

_POLL = 0.1  # seconds
_NOTE = 1000  # bytes of a note that are read
_NAME = 80  # characters of a field that are shown
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


class LockUnsupportedError(CheckpointError):
    """A file system cannot lock files."""


@contextmanager
def lock(path: Path, subject: Path, purpose: str, waiting: Callable[[str], None] | None = None) -> Iterator[Path]:
    """Holds the lock file `path`, which stays there; yields the path of the note, which is removed at the end.

    `subject` and `purpose` are for messages, as in "runs/maps: process 7 on myhost is training in it already". Where
    another process holds the lock, raises CheckpointError that names it; with `waiting`, calls that once with the
    holder's name and waits, and raises Stopped. Raises LockUnsupportedError where the file system
    has no locks, CheckpointError where `path` is not a regular file, OSError where it cannot be opened.
    """
    _require_file(path)
    held, note = FileLock(path, poll_interval=_POLL, fallback_to_soft=False), path.with_name(f"{path.name}.json")
    try:
        if not _acquired(held):
            if waiting is None:
                raise CheckpointError(
                    f"{show_text(subject)}: {_holder(note)} is {purpose} already; wait for that to end, or choose "
                    "another --output"
                )
            waiting(_holder(note))
            _wait(held)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        raise LockUnsupportedError(
            f"{show_text(path)}: this file system cannot lock files ({error.strerror}), so nothing would keep two "
            "processes apart; choose an --output on another disk, or mount this one with locks (Lustre: -o flock)"
        ) from None
    try:
        replace_atomically(note, _write_note)
        yield note
    finally:
        with contextlib.suppress(OSError):
            note.unlink()
        held.release()


def _require_file(path: Path) -> None:
    """Raises CheckpointError where something other than a file, such as a link or a FIFO, has the lock's name."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{show_text(path)}: is not a regular file, and a lock file is needed; remove it")


def _acquired(held: FileLock) -> bool:
    try:
        held.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _wait(held: FileLock) -> None:
    try:
        held.acquire(timeout=-1, cancel_check=stop_requested)
    except Timeout:
        raise Stopped from None


def _write_note(path: Path) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    path.write_text(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}), encoding="utf-8")


def _holder(note: Path) -> str:
    """Who holds a lock, in words, as far as its note tells; the note may be anybody's."""
    try:
        # A FIFO would block the reader, and a link could lead anywhere.
        handle = os.open(note, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return "another process"
            facts = json.loads(file.read(_NOTE))
        pid, host, since = int(facts["pid"]), str(facts["host"]), str(facts["since"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"
    return f"process {pid} on {show_text(host)[:_NAME]}, since {show_text(since)[:_NAME]},"
