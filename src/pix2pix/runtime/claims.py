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
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SAME_START = 10.0  # seconds, where only the clock tells; it may have been set since


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
    claim = folder / f"{prefix}{os.getpid()}-{_own(os.getpid())}-{_host()}"
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
    """Whether the process that a claim names runs; those of other machines count as running, and those in doubt."""
    try:
        pid, began, host = claimant.split("-", 2)
        if host != _host():
            return True
        return int(pid) != os.getpid() and _same(began, _began(int(pid)))
    except (psutil.NoSuchProcess, ValueError):  # ValueError: no claim of ours
        return False
    except psutil.AccessDenied:
        return True


def _began(pid: int) -> str:
    """What tells a process from others that have had its number. Raises psutil.NoSuchProcess where none runs.

    On Linux `ticks@boot`, since which start of the machine; elsewhere the time of day in seconds.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        boot = _BOOT.read_text().replace("-", "")[:12]
    except OSError:
        process = psutil.Process(pid)
        state, began = process.status(), f"{process.create_time():.2f}"
    else:
        fields = stat.rpartition(")")[2].split()  # the name before, in brackets, may hold anything
        state, began = fields[0], f"{fields[19]}@{boot}"
    if state in ("Z", "X", psutil.STATUS_ZOMBIE):
        raise psutil.NoSuchProcess(pid)
    return began


@cache
def _own(pid: int) -> str:
    """When our process began, the same in all of its threads though the clock be set meanwhile."""
    return _began(pid)


def _same(one: str, other: str) -> bool:
    """Whether two say the same beginning; yes if one is ticks and one is a time, which an older pix2pix wrote."""
    if "@" in one and "@" in other:
        return one == other
    return "@" in one + other or abs(float(one) - float(other)) < _SAME_START


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", platform.node()) or "this machine"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
