"""Build a folder under a hidden name, in one process at a time, and rename it once it is complete.

The process that builds `data/maps` holds the lock file `data/.maps.lock`.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pix2pix.runtime.lock import lock
from pix2pix.runtime.log import info
from pix2pix.runtime.ownership import Index, read_index, write_index


@contextmanager
def exclusive_build(folder: Path) -> Iterator[None]:
    """Lock out other processes that build `folder`, and remove what killed ones left behind.

    Raises CheckpointError where another process is building it, OSError where its parent folder is not writable.
    """
    path = folder.parent / f".{folder.name}.lock"
    with lock(path, folder, "making it"):
        try:
            _remove_leftovers(folder)
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows removes no open file
                path.unlink()  # while it is locked: whoever opened it before sees that it is gone, and makes another


def _remove_leftovers(folder: Path) -> None:
    for path in folder.parent.iterdir():
        ours = re.fullmatch(rf"\.{re.escape(folder.name)}-[a-z0-9_]{{8}}", path.name)
        index = read_index(path) if ours and not path.is_symlink() else None
        if index is not None and index.kind == "staging":
            info(f"removing {path}, which an interrupted run left")
            shutil.rmtree(path)


@contextmanager
def atomic_dir(folder: Path) -> Iterator[Path]:
    """Yield a path in a hidden folder beside `folder`; it is renamed to `folder` at the end, or deleted on an error."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        write_index(Path(temporary), Index("staging"))
        path = Path(temporary, folder.name)
        yield path
        os.replace(path, folder)
