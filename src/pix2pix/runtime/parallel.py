"""The same work on many files, on every core: decoders and resizers leave Python's lock alone, so threads do."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from pix2pix.runtime.log import bar_disabled
from pix2pix.runtime.signals import raise_if_stopped

_Item = TypeVar("_Item")
_AT_ONCE = 1024  # handed to the threads together: an error stops the work after at most so many more


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def for_each(
    work: Callable[[_Item], object], items: Sequence[_Item], title: str = "reading pairs", progress: bool = True
) -> None:
    """Calls `work` with every item, with a progress bar on a terminal.

    Raises what it raises, that of the first item in order, and Stopped; what was not begun by
    then is not.
    """

    def stoppable(item: _Item) -> None:
        raise_if_stopped()
        work(item)

    pool = ThreadPoolExecutor(cores())
    with tqdm(
        total=len(items), desc=title, unit="pair", leave=False, disable=bar_disabled() if progress else True
    ) as bar:
        try:
            for start in range(0, len(items), _AT_ONCE):
                for _ in pool.map(stoppable, items[start : start + _AT_ONCE]):
                    bar.update()
        finally:
            pool.shutdown(cancel_futures=True)
