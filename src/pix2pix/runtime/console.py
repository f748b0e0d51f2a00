"""Saying things to a person who may have left, and who may look at several processes at once."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from pix2pix.text import show_text


def is_first_rank() -> bool:
    """Whether this process is alone, or the first of a torchrun; by the environment, so before they are joined."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


def say(line: str | Sequence[str]) -> None:
    """Prints a line, or several, at once, on the first rank."""
    if is_first_rank():
        tell(line, sys.stdout)


def tell(line: str | Sequence[str], stream: TextIO) -> None:
    """Prints a line, or several, at once. Escapes what could come from a foreign name, such as a line break in a line.

    Where nobody can read it, as after `| head` or on a full disk, all go nowhere.
    """
    try:
        put("\n".join(map(show_text, [line] if isinstance(line, str) else line)), stream)
    except OSError:
        silence(stream)


def put(text: str, stream: TextIO, end: str = "\n") -> None:
    """Prints text as it is; characters that the stream's encoding lacks are escaped. Raises OSError."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, end=end, flush=True)


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
