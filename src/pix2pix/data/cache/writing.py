"""Writing a cache file: by one process at a time, under a name that nobody can foresee."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pix2pix.runtime.log import warning
from pix2pix.runtime.opening import is_own, open_own
from pix2pix.runtime.signals import raise_if_stopped

try:
    import fcntl
except ImportError:  # Windows: two processes that build at once both do the work, and the later file stays
    fcntl = None

_POLL = 0.2  # seconds between two looks at what another process has locked


@contextmanager
def temporary(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file with a name that nobody can foresee, and that name; unless it is renamed, it does not stay."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.tmp-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        try:
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # says that its writer lives
            yield file, Path(name)
        finally:
            if fcntl is None:
                file.close()
            with suppress(OSError):
                os.unlink(name)


@contextmanager
def sole_writer(path: Path, progress: bool) -> Iterator[None]:
    """Keeps every other process from writing `path`, by a lock on a file beside it that does not stay.

    While another process has it, this waits. Where files cannot be locked, several processes do the same work.
    """
    lock = path.with_name(f".{path.name}.lock")
    while fcntl is not None:
        with open_own(lock, "r+b", os.O_CREAT) as file:
            try:
                _wait_for(file, path, progress)
            except OSError:  # a file system without locks
                lock.unlink(missing_ok=True)
                break
            if not _is_at(file, lock):  # its last holder removed it meanwhile
                continue
            try:
                yield
            finally:
                with suppress(OSError):
                    lock.unlink()
            return
    yield


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _wait_for(file: BinaryIO, path: Path, progress: bool) -> None:
    """Locks the file. Asks again and again, since a lock that is waited for would not let a stop be heard."""
    told = not progress
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                warning(f"waiting for another process that writes {path}")
                told = True
        raise_if_stopped()
        time.sleep(_POLL)


def remove_leftovers(folder: Path, names: str) -> None:
    """Removes our temporary files and locks that a killed process left; `names`: how their caches' begin, for glob."""
    for old in [*folder.glob(f".{names}*.tmp-*"), *folder.glob(f".{names}*.lock")]:
        with suppress(OSError), open_own(old) as file:
            if fcntl is not None and is_own(os.fstat(file.fileno())):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where a living process has it
                old.unlink()
