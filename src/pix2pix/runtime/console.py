"""Saying things to a person who may have left."""

import os
import sys


def say(line: str) -> None:
    """Prints a line at once, on the first rank. Where nobody reads any more, as after `| head`, all go nowhere."""
    if os.environ.get("RANK", "0") != "0":
        return
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
