"""Writes a cache file: one process at a time, under a temporary name that nobody can foresee."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pix2pix.runtime.lock import LockUnsupportedError, lock
from pix2pix.runtime.log import warning
from pix2pix.runtime.opening import open_own


@contextmanager
def temporary(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a new file beside `path`, and yield it with its path. It is deleted at the end, unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.tmp-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        try:
            yield file, Path(name)
        finally:
            if os.name == "nt":
                file.close()  # or it cannot be deleted
            with suppress(OSError):
                os.unlink(name)


@contextmanager
def sole_writer(path: Path, prefix: str, progress: bool) -> Iterator[bool]:
    """Lock all cache files in the folder of `path` whose names begin with `prefix`, or wait for their writer.

    Yields whether they are locked: where the file system has no locks, several processes do the same work. The lock
    file stays. Raises OSError where it cannot be made or is not ours, and Stopped.
    """

    def waiting(holder: str) -> None:
        if progress:
            warning(f"{path}: {holder} is writing it already; waiting for that to end")

    name = path.with_name(f".{prefix}.lock")
    open_own(name, "ab", os.O_CREAT).close()  # filelock would wait forever where it cannot create the file
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(name, path, "writing", waiting))
        except LockUnsupportedError:
            yield False
        else:
            yield True
