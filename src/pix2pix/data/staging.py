"""A folder that is made out of sight, by one process at a time, and gets its name when it is right.

Whoever makes `data/maps` holds the lock file `data/.maps.lock`.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pix2pix.runtime.console import say
from pix2pix.runtime.lock import lock
from pix2pix.runtime.ownership import Index, read_index, write_index


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Keeps every other process from making `folder`, and removes what killed ones left of it.

    Raises CheckpointError where another is at it, OSError where nothing can be written beside `folder`.
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
            say(f"removing {path}, which an interrupted run left")
            shutil.rmtree(path)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A path in a hidden folder beside `folder`, which becomes `folder` at the end, or goes if there is an error."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        write_index(Path(temporary), Index("staging"))
        path = Path(temporary, folder.name)
        yield path
        os.replace(path, folder)
