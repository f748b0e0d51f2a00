"""Worker processes that read data: the signals they ignore, and the shared memory through which they pass batches."""

import errno
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from pix2pix.errors import DataError
from pix2pix.runtime.signals import STOP_SIGNALS


def leave_signals_to_the_parent(worker: int) -> None:
    """Ignore signals to the process group, such as Ctrl-C: the parent needs the workers to finish its step."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def without_torchs_handler() -> Iterator[None]:
    """Restore the handler of SIGCHLD that a DataLoader replaces when it starts.

    torch's handler raises at any point of the main thread, even within an update, after which the state could not be
    saved. Without the handler, a dead worker is noticed at the next batch.
    """
    before = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None  # Windows has none
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, before)


def shared(batch: dict[str, Tensor]) -> dict[str, Tensor] | DataError:
    """Move a worker's batch to shared memory; return the error where that is full.

    A DataLoader would move the batch in another thread; if that fails, it prints an error and the batch never arrives.
    """
    try:
        for value in batch.values():
            value.share_memory_()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return batch
    except (RuntimeError, OSError) as error:
        if not is_out_of_shared_memory(error):
            raise
        return out_of_shared_memory()


def require_semaphores(workers: int) -> None:
    """Raise OSError where shared memory has no room for the semaphores of so many workers.

    A DataLoader that fails to create them prints a traceback when it is garbage-collected.
    """
    semaphores = [multiprocessing.Semaphore() for _ in range(4 * (workers + 2))]
    del semaphores  # each takes up a page as long as it exists


def is_out_of_shared_memory(error: Exception) -> bool:
    """Return whether an error of torch or the system means that shared memory is full."""
    words = ("allocate shared memory", "out of shared memory", "No space left")  # torch raises plain RuntimeErrors
    return getattr(error, "errno", None) == errno.ENOSPC or any(some in str(error) for some in words)


def died_of_shared_memory(exit_codes: list[int | None]) -> bool:
    """Return whether a process ended with a bus error, the result of writing to full shared memory."""
    return hasattr(signal, "SIGBUS") and -signal.SIGBUS in exit_codes


def out_of_shared_memory() -> DataError:
    """Return the error to raise when shared memory is full."""
    return DataError(
        "the processes that read data are out of shared memory (/dev/shm)",
        remedy="enlarge it, as with docker run --shm-size=8g, or read in this process with data.workers=0",
    )
