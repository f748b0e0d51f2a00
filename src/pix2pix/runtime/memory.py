"""The memory allocator of the C library."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # from malloc.h


def retain_freed_memory() -> bool:
    """Make glibc's allocator keep freed memory for this process; return False where that is not possible.

    By default glibc returns each large block to the system, and a training step that takes it again waits for the
    system to clear it. A process then holds its peak memory until it ends, so programs call this, and libraries don't.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
