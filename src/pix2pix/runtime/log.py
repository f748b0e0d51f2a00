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
    """Return whether this is the only or the first rank, from the environment: the process group may not exist yet."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


def debug(line: str | Sequence[str]) -> None:
    """Log details, one or several lines, on the first rank. Invisible characters are escaped at every level."""
    if is_first_rank():
        logger.debug(_escaped(line))


def info(line: str | Sequence[str]) -> None:
    """Log progress and results, on the first rank."""
    if is_first_rank():
        logger.info(_escaped(line))


def warning(line: str | Sequence[str]) -> None:
    """Log a warning, on every rank, since warnings may differ between ranks."""
    logger.warning(_escaped(line))


def error(line: str | Sequence[str]) -> None:
    """Log an error, on every rank. On the console each line that is not indented starts with `error: `."""
    logger.error(_escaped(line))


def _escaped(line: str | Sequence[str]) -> str:
    return "\n".join(map(show_text, [line] if isinstance(line, str) else line))


def bar_disabled() -> bool | None:
    """Return the argument `disable` of a tqdm bar: True if `info` is not shown; None shows it on terminals only."""
    return None if logger.isEnabledFor(logging.INFO) else True


class _Console(logging.Handler):
    """Write information to stdout, and everything else to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            text = "\n".join(line if line[:1] == " " else f"error: {line}" for line in text.split("\n"))
        # The streams are looked up for each record: a caller may have replaced them.
        write_line(text, sys.stdout if record.levelno == logging.INFO else sys.stderr)


_console = _Console()


@contextmanager
def to_console(level: int = logging.INFO) -> Iterator[None]:
    """Show messages of `level` or above on the console while the context lasts."""
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
    """Write a line and flush it. If that fails (after `| head`, on a full disk), drop this and all later output."""
    try:
        put(text, stream)
    except OSError:
        discard(stream)


def put(text: str, stream: TextIO, end: str = "\n") -> None:
    """Write text unchanged, except that characters missing in the stream's encoding are escaped. Raises OSError."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, end=end, flush=True)


def discard(stream: TextIO) -> None:
    """Discard what a stream has buffered and all its later output."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def fill_missing_streams() -> None:
    """Open closed standard streams on the null device: other files would get their numbers."""
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
