"""Process-wide settings of the decoders, which are changed while files are read and restored afterwards."""

import ctypes
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from PIL import Image, _imaging

pixel_limit: ContextVar[int | None] = ContextVar("pixel_limit", default=None)  # of this thread; None is Pillow's


@contextmanager
def at_most(max_pixels: int | None) -> Iterator[None]:
    """Within the context, this thread reads images of at most this number of pixels; None leaves the limit as it is."""
    token = pixel_limit.set(pixel_limit.get() if max_pixels is None else max_pixels)
    try:
        yield
    finally:
        pixel_limit.reset(token)


class TooLarge(Exception):
    """An image has more pixels than its limit."""

    def __init__(self, limit: int | None):
        super().__init__(f"more than {limit:,} pixels")


class _Settings:
    """The settings of the process; `limits` are the pixel limits of the files that its threads are reading."""

    def __init__(self) -> None:
        self.lock, self.limits = threading.Lock(), list[int | None]()

    def enter(self, limit: int | None) -> int | None:
        """Begin to read a file; return its limit, which is Pillow's unless it has its own."""
        with self.lock:
            if not self.limits:
                self.pillows_limit, self.handler = Image.MAX_IMAGE_PIXELS, _set_error_handler(None)
                self.caught = warnings.catch_warnings()
                self.caught.__enter__()
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
            limit = self.pillows_limit if limit is None else limit
            self.limits.append(limit)
            self._apply()
            return limit

    def leave(self, limit: int | None) -> None:
        """Stop reading a file of this limit."""
        with self.lock:
            self.limits.remove(limit)
            if self.limits:
                return self._apply()
            Image.MAX_IMAGE_PIXELS = self.pillows_limit
            self.caught.__exit__(None, None, None)
            _set_error_handler(self.handler)

    def _apply(self) -> None:
        """Set Pillow's limit to the highest one; callers check their own with `info.check_size`."""
        Image.MAX_IMAGE_PIXELS = None if None in self.limits else max(filter(None, self.limits))


_settings = _Settings()


@contextmanager
def decoding() -> Iterator[None]:
    """Suppress the warnings and messages of decoders; let Pillow raise an error for images beyond the limit.

    Warning filters, Pillow's limit and libtiff's error handler belong to the process: the first thread to enter sets
    them, and the last one to leave restores them.
    """
    limit = _settings.enter(pixel_limit.get())
    try:
        with at_most(limit):
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge(limit) from None
    finally:
        _settings.leave(limit)


@cache
def _libtiff() -> Any:
    """Return the function of Pillow's libtiff that sets the error handler; None if it is not exported."""
    try:
        function = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError, TypeError):
        return None
    function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    return function


def _set_error_handler(handler: int | None) -> int | None:
    """Set libtiff's error handler and return the earlier one; None writes nothing.

    The handler of libtiff writes to standard error what Pillow raises as an error, too.
    """
    function = _libtiff()
    earlier: int | None = function(handler) if function else None
    return earlier
