"""Processes that read data: the signals that they ignore, and shared memory, through which they hand over batches."""

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
    """Ignores signals to the whole group, such as a terminal's Ctrl-C: the parent needs the workers for its step."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def without_torchs_handler() -> Iterator[None]:
    """Puts back the handler of SIGCHLD that a DataLoader replaces when it starts.

    torch's raises wherever the main thread is, in the midst of an update too, and what is left of that cannot be saved.
    Without it a dead worker is found when the next batch is asked for.
    """
    before = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None  # Windows has none
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, before)


def shared(batch: dict[str, Tensor]) -> dict[str, Tensor] | DataError:
    """A worker's batch, moved to shared memory, or what keeps it from that.

    A DataLoader would move it in a thread of its own, where an error is printed and the batch never arrives.
    """
    try:
        return {key: value.share_memory_() for key, value in batch.items()}
    except (RuntimeError, OSError) as error:
        if not is_out_of_shared_memory(error):
            raise
        return out_of_shared_memory()


def require_semaphores(workers: int) -> None:
    """Raises OSError where shared memory has no room for the semaphores of so many workers.

    A DataLoader that fails to make them prints a traceback of its own when it is collected.
    """
    semaphores = [multiprocessing.Semaphore() for _ in range(4 * (workers + 2))]
    del semaphores  # each takes up a page while it is there


def is_out_of_shared_memory(error: Exception) -> bool:
    """Whether an error of the processes that read data says so."""
    words = ("allocate shared memory", "out of shared memory", "No space left")  # torch's have no class of their own
    return getattr(error, "errno", None) == errno.ENOSPC or any(some in str(error) for some in words)


def died_of_shared_memory(exit_codes: list[int | None]) -> bool:
    """Whether a process ended in a bus error: a write to shared memory that was promised and is not there."""
    return hasattr(signal, "SIGBUS") and -signal.SIGBUS in exit_codes


def out_of_shared_memory() -> DataError:
    """The error that is raised then."""
    return DataError(
        "the processes that read data are out of shared memory (/dev/shm); make that larger, as with docker run "
        "--shm-size=8g, or read in this process with data.workers=0"
    )
