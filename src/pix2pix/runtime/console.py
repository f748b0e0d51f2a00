"""Saying things to a person who may have left, and who may look at several processes at once."""

import os
import sys
from typing import TextIO


def is_first_rank() -> bool:
    """Whether this process is alone, or the first of a torchrun; by the environment, so before they are joined."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


def say(line: str) -> None:
    """Prints a line at once, on the first rank."""
    if is_first_rank():
        tell(line, sys.stdout)


def tell(line: str, stream: TextIO) -> None:
    """Prints a line at once. Where nobody can read it, as after `| head` or on a full disk, all go nowhere."""
    try:
        print(line, file=stream, flush=True)
    except OSError:
        silence(stream)


def printable(text: object) -> str:
    """Text from elsewhere, such as a file's name, for a terminal: control characters are escaped, as in `\\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def silence(stream: TextIO) -> None:
    """Sends what a stream still holds, and all that follows, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def fill_missing_streams() -> None:
    """Python has None for a stream that was closed when it started, and the next file opened would get its number."""
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
