"""Write a cache file: one process at a time, under an unpredictable temporary name."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pix2pix.runtime.lock import LockUnsupportedError, lock
from pix2pix.runtime.log import warning
from pix2pix.runtime.opening import open_trusted


@contextmanager
def temporary(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a new file beside `path`, and yield it with its path. It is deleted at the end, unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.tmp-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        try:
            yield file, Path(name)
        finally:
            if os.name == "nt":
                file.close()  # an open file cannot be deleted there
            with suppress(OSError):
                os.unlink(name)


@contextmanager
def sole_writer(path: Path, prefix: str, progress: bool) -> Iterator[bool]:
    """Lock all cache files in the folder of `path` whose names begin with `prefix`, or wait for their writer.

    Yields whether they are locked; on a file system without locks, several processes may do the same work. The lock
    file is not removed. Raises OSError where it cannot be created or is not this user's, and Stopped.
    """

    def waiting(holder: str) -> None:
        if progress:
            warning(f"{path}: {holder} is writing it already; waiting for that to end")

    name = path.with_name(f".{prefix}.lock")
    open_trusted(name, "ab", os.O_CREAT).close()  # filelock would wait forever where it cannot create the file
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(name, path, "writing", waiting))
        except LockUnsupportedError:
            yield False
        else:
            yield True
