"""Stop cleanly: signals set a flag that is read between steps. Only the command line installs the handlers."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from pix2pix.runtime.log import info

T = TypeVar("T")
# Windows lacks most of these. Left out: SIGPIPE, which Python ignores, and SIGQUIT, which should exit at once.
_ALWAYS = ("SIGINT", "SIGTERM", "SIGUSR1")
_UNLESS_TAKEN = ("SIGHUP", "SIGXCPU", "SIGUSR2", "SIGALRM")  # nohup ignores SIGHUP, and a timer uses SIGALRM
STOP_SIGNALS = [getattr(signal, name) for name in (*_ALWAYS, *_UNLESS_TAKEN) if hasattr(signal, name)]
# Seconds in which signals count as one: GNU timeout signals its child and then the whole group, and torchrun forwards
# to its workers what a terminal has sent to all of them.
_ONE_REQUEST = 1.0
_LOGGING = 0.5  # seconds that logging a line may take


class Stopped(Exception):
    """Raised where work ends because a stop was requested."""


_stops: list[Callable[[], bool]] = []  # functions that return whether to stop, the outermost context first


def stop_requested() -> bool:
    """Return whether a signal has arrived, or a function given to `stop_when` returns True."""
    return any(stop() for stop in _stops)


def raise_if_stopped() -> None:
    """Raise Stopped where a stop was requested."""
    if stop_requested():
        raise Stopped


@contextmanager
def stop_when(stop: Callable[[], bool] | None) -> Iterator[None]:
    """Request a stop while `stop()` returns True, as long as the context lasts; None changes nothing."""
    if stop is None:
        yield
        return
    _stops.append(stop)
    try:
        yield
    finally:
        _stops.remove(stop)


def stoppable(items: Iterable[T], stop: Callable[[], bool] = stop_requested) -> Iterator[T]:
    """Yield the items; once a stop was requested, raise Stopped instead of reading the next item."""
    iterator = iter(items)
    while True:
        if stop():
            raise Stopped
        try:
            item = next(iterator)
        except StopIteration:
            return
        yield item


class StopFlag:
    """A flag that is false until a signal arrives; `signal` is then its number."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code of a stopped command: 130 after SIGINT, 143 after any other signal."""
        return 130 if self.signal == signal.SIGINT else 143


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Set the flag on the first signal; exit at once on another one, a second or more later.

    SIGXCPU never counts as another one: the kernel repeats it every second once the limit of CPU time is reached.
    A thread listens for the signals, since Python runs signal handlers only after the main thread has returned from
    torch, which may take long.
    """
    numbers = [
        number for number in STOP_SIGNALS if number.name in _ALWAYS or signal.getsignal(number) == signal.SIG_DFL
    ]
    stop, (reading, writing) = StopFlag(), os.pipe()
    os.set_blocking(writing, False)
    _detach_children()
    before = {number: signal.signal(number, _wake) for number in numbers}
    waking = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(reading, stop, numbers), daemon=True)
    listener.start()
    try:
        with stop_when(lambda: bool(stop)):
            yield stop
    finally:
        signal.set_wakeup_fd(waking)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)  # ends the listener
        listener.join()
        os.close(reading)


def _wake(number: int, frame: object) -> None:
    """Do nothing: a signal needs a Python handler to wake the listener."""


def _listen(reading: int, stop: StopFlag, numbers: list[int]) -> None:
    first = 0.0
    while heard := os.read(reading, 1):
        number = heard[0]
        if number not in numbers:
            continue
        if not stop:
            stop.signal, first = number, time.monotonic()
            _log("", "stopping after this step; a second signal, a second from now or later, exits at once")
        elif time.monotonic() - first >= _ONE_REQUEST and number != getattr(signal, "SIGXCPU", None):
            _log("exited at once; the last checkpoint is complete, and the same command resumes from it")
            os._exit(130 if number == signal.SIGINT else 143)


def _log(*lines: str) -> None:
    """Log lines in another thread: a terminal paused by Ctrl-S blocks printing, and must not block the listener.

    Wait briefly for that thread, so that the last lines before an exit are printed.
    """
    writer = threading.Thread(target=info, args=(lines,), daemon=True)
    writer.start()
    writer.join(_LOGGING)


@cache
def _detach_children() -> None:
    """Detach forked children from the pipe: otherwise their signals would count as signals to the parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
