"""Saying things to a person who may have left."""

import os
import sys


def say(line: str) -> None:
    """Prints a line at once. Where nobody reads any more, as after `| head`, it and all later ones go nowhere."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
