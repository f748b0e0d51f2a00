"""Process many files on all cores. Decoding and resizing release the GIL, so threads suffice."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from pix2pix.runtime.log import bar_disabled
from pix2pix.runtime.signals import raise_if_stopped

_Item = TypeVar("_Item")
_CHUNK = 1024  # items submitted together; an error leaves at most this many to finish


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def let_idle_threads_sleep() -> None:
    """Let the threads of torch on a CPU sleep while they wait, where other threads of the process need the cores.

    By default they spin. Has no effect once torch is imported, or where OMP_WAIT_POLICY is set. Programs call this, and
    libraries don't.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def for_each(
    work: Callable[[_Item], object], items: Sequence[_Item], title: str = "reading pairs", progress: bool = True
) -> None:
    """Call `work` with every item in threads, with a progress bar on a terminal.

    Raises the exception of the first item, in order, that failed, or Stopped. Items that have not started are skipped.
    """

    def stoppable(item: _Item) -> None:
        raise_if_stopped()
        work(item)

    pool = ThreadPoolExecutor(cores())
    with tqdm(
        total=len(items), desc=title, unit="pair", leave=False, disable=bar_disabled() if progress else True
    ) as bar:
        try:
            for start in range(0, len(items), _CHUNK):
                for _ in pool.map(stoppable, items[start : start + _CHUNK]):
                    bar.update()
        finally:
            pool.shutdown(cancel_futures=True)
