"""A folder that is made out of sight, by one process at a time, and gets its name when it is right.

Who makes `data/maps` lays a claim beside it: an empty file that names the process, so that it appears whole at once
and a dead process's can be told and removed without taking a living one's away.
"""

import contextlib
import os
import platform
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

from pix2pix.errors import CheckpointError

_TRIES = 5  # two that start at the same moment see each other's claim: both step back, and one comes first
_SAME_START = 10.0  # seconds; the clock may have been set since


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Keeps every other process from making `folder`, and removes what killed ones left of it.

    Raises CheckpointError where another is at it, OSError where nothing can be written beside `folder`.
    """
    claim = _lay_claim(folder)
    try:
        for path in folder.parent.iterdir():
            ours = re.fullmatch(rf"\.{re.escape(folder.name)}-[a-z0-9_]{{8}}", path.name)
            if ours and path.is_dir() and not path.is_symlink():
                print(f"removing {path}, which an interrupted run left")
                shutil.rmtree(path)
        yield
    finally:
        _remove(claim)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A path in a hidden folder beside `folder`, which becomes `folder` at the end, or goes if there is an error."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        path = Path(temporary, folder.name)
        yield path
        os.replace(path, folder)


def _lay_claim(folder: Path) -> Path:
    prefix = f".{folder.name}.claim-"
    claim = folder.with_name(f"{prefix}{os.getpid()}-{_started(os.getpid()):.2f}-{_host()}")
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(random.uniform(0.01, 0.1))
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:  # another thread of ours
            other = claim
            continue
        others = [path for path in folder.parent.iterdir() if path.name.startswith(prefix) and path != claim]
        living = [path for path in others if _lives(path.name.removeprefix(prefix))]
        for path in {*others} - {*living}:
            _remove(path)
        if not living:
            return claim
        other = living[0]
        _remove(claim)
    process, _, host = other.name.removeprefix(prefix).split("-", 2)
    raise CheckpointError(
        f"{folder}: process {process} on {host} is making it already; wait for that to end, choose another --output, "
        f"or remove {other} if there is no such process"
    )


def _lives(claimant: str) -> bool:
    """Whether the process that a claim names runs; those of other machines count as running."""
    try:
        pid, started, host = claimant.split("-", 2)
        if host != _host():
            return True
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < _SAME_START and process.pid != os.getpid()
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):  # ValueError: no claim of ours
        return False
    except psutil.AccessDenied:
        return True


@cache
def _started(pid: int) -> float:
    """When our process began, the same in all of its threads though the clock be set meanwhile."""
    return psutil.Process(pid).create_time()


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", platform.node()) or "this machine"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
