"""Work on every pair of a data set, in threads, with a bar."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm


def for_each(count: int, one: Callable[[int], object], progress: bool = False, what: str = "reading pairs") -> None:
    """Calls `one` with 0 to count - 1, several at a time: decoders release the interpreter's lock.

    What it raises first, by index, is raised here, and no further call is begun.
    """
    bar = tqdm(total=count, desc=what, leave=False, disable=None if progress else True)
    pool = ThreadPoolExecutor()
    try:
        for _ in pool.map(one, range(count)):
            bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
