"""Who is at work where, told by a file: one process at a time makes a data set, or trains in a run folder.

A claim is an empty file that names its process, so that it appears whole at once and a dead process's can be told and
removed without taking a living one's away.
"""

import contextlib
import os
import platform
import random
import re
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
def claimed(place: Path, prefix: Path, doing: str) -> Iterator[Path]:
    """Keeps every other process from `doing` what it does with `place`; dead processes' claims are removed.

    `prefix`: path of the claim's file, less its end that names the process. Yields that file's whole path. Raises
    CheckpointError, naming the process, where another is at it; OSError where nothing can be written there.
    """
    claim = _lay_claim(place, prefix, doing)
    try:
        yield claim
    finally:
        _remove(claim)


def _lay_claim(place: Path, start: Path, doing: str) -> Path:
    folder, prefix = start.parent, start.name
    claim = folder / f"{prefix}{os.getpid()}-{_started(os.getpid()):.2f}-{_host()}"
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(random.uniform(0.01, 0.1))
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:  # another thread of ours
            other = claim
            continue
        others = [path for path in folder.iterdir() if path.name.startswith(prefix) and path != claim]
        living = [path for path in others if _lives(path.name.removeprefix(prefix))]
        for path in {*others} - {*living}:
            _remove(path)
        if not living:
            return claim
        other = living[0]
        _remove(claim)
    process, _, host = other.name.removeprefix(prefix).split("-", 2)
    raise CheckpointError(
        f"{place}: process {process} on {host} is {doing} already; wait for that to end, choose another --output, "
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
