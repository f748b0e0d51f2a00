"""Print the result of a command; --quiet does not silence it."""

import sys

from pix2pix.errors import CheckpointError
from pix2pix.runtime.log import discard, put


def show(text: str, end: str = "\n") -> None:
    """Print to stdout. Raises CheckpointError where it cannot be written; a closed pipe is no error."""
    try:
        put(text, sys.stdout, end)
    except OSError as error:
        discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):  # a reader such as `| head` has closed it
            raise CheckpointError(f"stdout cannot be written ({error.strerror}); send it somewhere else") from None
