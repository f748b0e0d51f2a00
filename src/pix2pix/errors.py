"""The errors a person can cause and mend: one line that names the file and the remedy, and an exit code.

Anything else that is raised is a bug of ours and leaves with exit code 1.
"""

from pix2pix.text import show_text


class Pix2PixError(Exception):
    """Base of every error that `pix2pix` explains in plain words instead of a traceback.

    Each argument is one line. A line break within one came with foreign text, such as a file name, and is escaped.
    """

    exit_code = 1

    def __str__(self) -> str:
        return "\n".join(map(show_text, self.args))


class ConfigError(Pix2PixError):
    """A config, a flag or a combination of settings is wrong; the message may hold several lines, one an error."""

    exit_code = 2


class DeviceError(ConfigError):
    """A device is not there. Of several ranks each has its own, so that the others may know nothing of it."""


class DataError(Pix2PixError):
    """A picture, a pair or a data set is missing, broken or not what the config says."""

    exit_code = 3


class CheckpointError(Pix2PixError):
    """Weights, a checkpoint or the output folder cannot be read or written."""

    exit_code = 4


class LostRankError(Pix2PixError):
    """Another process of the same distributed run has ended."""

    exit_code = 6


class NonFiniteError(Pix2PixError):
    """Training diverged: a loss or a gradient is not finite."""

    exit_code = 5


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short: Python's, CUDA's, or that of the CPU, for which torch raises a RuntimeError."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    )
