"""Stopping politely: SIGINT and SIGTERM set a flag that the loop reads between steps. Only the CLI installs it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class StopFlag:
    """False until a signal arrives; then true, and `exit_code` says by which (128 + its number)."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for every other: the run was asked to end and ended."""
        return 130 if self.signal == signal.SIGINT else 143


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Within it the first signal sets the flag; a second one leaves at once, as it would have without."""
    stop, names = StopFlag(), ("SIGINT", "SIGTERM", "SIGUSR1")  # Windows has no SIGUSR1
    before = {getattr(signal, name): None for name in names if hasattr(signal, name)}

    def on_signal(number: int, frame: object) -> None:
        stop.signal = number
        for each, handler in before.items():
            signal.signal(each, handler if each != getattr(signal, "SIGUSR1", None) else signal.SIG_IGN)
        print("\nstopping after this step; once more to leave at once", flush=True)

    for each in before:
        before[each] = signal.signal(each, on_signal)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
