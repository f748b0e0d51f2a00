"""Rank-aware output through `logging` that tolerates closed streams.

The library logs to the logger "pix2pix" and shows nothing by itself; the command line calls `to_console`.
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from pix2pix.text import show_text

logger = logging.getLogger("pix2pix")
logger.addHandler(logging.NullHandler())


def is_first_rank() -> bool:
    """Return whether this process is alone or the first of a torchrun, by the environment: before the group is made."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


def info(line: str | Sequence[str]) -> None:
    """Log a line, or several, on the first rank. What could come from a foreign name is escaped."""
    if is_first_rank():
        logger.info(_shown(line))


def warning(line: str | Sequence[str]) -> None:
    """Log a warning, on every rank: each may have its own."""
    logger.warning(_shown(line))


def _shown(line: str | Sequence[str]) -> str:
    return "\n".join(map(show_text, [line] if isinstance(line, str) else line))


class _Console(logging.Handler):
    """Information goes to stdout, warnings and errors to stderr, as these are when a line is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        write_line(record.msg, sys.stderr if record.levelno >= logging.WARNING else sys.stdout)


_console = _Console()


@contextmanager
def to_console(level: int = logging.INFO) -> Iterator[None]:
    """Within it, what is logged from `level` on is shown on the console."""
    before = logger.level
    nested = _console in logger.handlers
    logger.setLevel(level)
    logger.addHandler(_console)
    try:
        yield
    finally:
        logger.setLevel(before)
        if not nested:
            logger.removeHandler(_console)


def write_line(text: str, stream: TextIO) -> None:
    """Write a line at once. Where nobody can read it, as after `| head` or on a full disk, drop it and what follows."""
    try:
        put(text, stream)
    except OSError:
        discard(stream)


def put(text: str, stream: TextIO, end: str = "\n") -> None:
    """Write text as it is; characters that the stream's encoding lacks are escaped. Raises OSError."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, end=end, flush=True)


def discard(stream: TextIO) -> None:
    """Send what a stream still holds, and all that follows, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def fill_missing_streams() -> None:
    """Open closed standard streams: Python has None for them, and the next file opened would get their numbers."""
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
