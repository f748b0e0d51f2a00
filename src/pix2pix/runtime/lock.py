"""PID lock files: one process per run or dataset directory.

The kernel holds the lock and releases it when the process ends, for whatever reason. A small JSON note beside the lock
file records which process holds it. The note is used in messages only, so a stale note blocks no process.
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

_POLL_SECONDS = 0.1
_NOTE_BYTES = 1000  # the most that is read of a note
_FIELD_CHARACTERS = 80  # the most that is shown of a field
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


class LockUnsupportedError(CheckpointError):
    """A file system cannot lock files."""


@contextmanager
def lock(path: Path, subject: Path, purpose: str, waiting: Callable[[str], None] | None = None) -> Iterator[Path]:
    """Hold a lock on the file `path`; yield the path of the note. At the end the note is removed, the lock file is not.

    `subject` and `purpose` are for messages, as in "runs/maps: process 7 on myhost is training in it already". If
    another process holds the lock, raises a CheckpointError with the code "locked" that names the process. With
    `waiting`, calls `waiting(holder)` once and waits for the lock instead; raises Stopped if a stop is requested.
    Raises LockUnsupportedError where the file system has no locks, CheckpointError where `path` is not a regular file,
    and OSError where it cannot be opened.
    """
    _require_file(path)
    file_lock = FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False)
    note = path.with_name(f"{path.name}.json")
    try:
        if not _try_acquire(file_lock):
            if waiting is None:
                raise CheckpointError(
                    f"{subject}: {_describe_holder(note)} is {purpose} already; wait for that to end, or choose "
                    "another --output",
                    code="locked",
                )
            waiting(_describe_holder(note))
            _acquire(file_lock)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        raise LockUnsupportedError(
            f"{path}: this file system cannot lock files ({error.strerror}), so two processes could write here; "
            "choose an --output on another disk, or mount this one with locks (Lustre: -o flock)"
        ) from None
    try:
        replace_atomically(note, _write_note)
        yield note
    finally:
        with contextlib.suppress(OSError):
            note.unlink()
        file_lock.release()


def _require_file(path: Path) -> None:
    """Raise CheckpointError where `path` is something other than a file, such as a link or a FIFO."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path}: is not a regular file, and a lock file is needed; remove it")


def _try_acquire(file_lock: FileLock) -> bool:
    try:
        file_lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _acquire(file_lock: FileLock) -> None:
    try:
        file_lock.acquire(timeout=-1, cancel_check=stop_requested)
    except Timeout:
        raise Stopped from None


def _write_note(path: Path) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    path.write_text(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}), encoding="utf-8")


def _describe_holder(note: Path) -> str:
    """Describe the process that holds a lock, from its note, which is not trusted."""
    try:
        # A FIFO would block the reader, and a link could lead anywhere.
        handle = os.open(note, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return "another process"
            facts = json.loads(file.read(_NOTE_BYTES))
        pid, host, since = int(facts["pid"]), str(facts["host"]), str(facts["since"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"
    return f"process {pid} on {show_text(host)[:_FIELD_CHARACTERS]}, since {show_text(since)[:_FIELD_CHARACTERS]},"
