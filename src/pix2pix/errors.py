"""The errors that a user can cause and fix: each names the file and the remedy, and has an exit code.

Any other exception is a bug in pix2pix and ends with exit code 1.
"""

from pathlib import Path

from pix2pix.text import show_text


class Pix2PixError(Exception):
    """Base of every error that is reported as a message instead of a traceback.

    Each argument is one line. A line break within one came from outside, such as a file name, and is escaped.
    `code` tells kinds of error apart where a caller needs that, such as "no-pairs"; it is empty elsewhere.
    """

    exit_code = 1

    def __init__(self, *lines: str, code: str = ""):
        super().__init__(*lines)
        self.code = code

    def __str__(self) -> str:
        return "\n".join(map(show_text, self.args))


class ConfigError(Pix2PixError):
    """A config, a flag or a combination of settings is wrong; one line for each error."""

    exit_code = 2


class DeviceError(ConfigError):
    """A device is not available. It is an error of one rank: the others may have their own devices."""


class MemoryLimitError(ConfigError):
    """The memory of a device is too small for the settings; `settings` are those that fit, as KEY=VALUE."""

    def __init__(self, reason: str, settings: list[str]):
        super().__init__(reason)
        self.settings = settings


class DataError(Pix2PixError):
    """An image, a pair or a data set is missing, broken or not what the config says.

    `path` is the file or folder at fault and `remedy` what to do about it, where they are given apart from `reason`;
    the whole line is then "path: reason; remedy". Further `lines` follow it.
    """

    exit_code = 3

    def __init__(self, reason: str, *lines: str, path: str | Path | None = None, remedy: str = "", code: str = ""):
        super().__init__(reason, *lines, code=code)
        self.path, self.reason, self.remedy = path, reason, remedy

    @property
    def detail(self) -> str:
        """The line without the path."""
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason

    def __str__(self) -> str:
        first = self.detail if self.path is None else f"{self.path}: {self.detail}"
        return "\n".join(map(show_text, (first, *self.args[1:])))


class CheckpointError(Pix2PixError):
    """Weights, a checkpoint or the output folder cannot be read or written, or the run is locked."""

    exit_code = 4


class NonFiniteError(Pix2PixError):
    """Training diverged: a loss or a gradient is non-finite."""

    exit_code = 5


class LostRankError(Pix2PixError):
    """Another process of the same distributed run has ended."""

    exit_code = 6


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out: Python's, a GPU's, or the CPU's, for which torch raises a plain RuntimeError."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    )
