"""The memory of this process, and the allocator of the C library."""

import ctypes
import sys
from typing import Any

import psutil

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # from malloc.h


def resident_bytes() -> int:
    """Return the physical memory that this process holds."""
    size: int = psutil.Process().memory_info().rss
    return size


def peak_bytes(device: Any) -> int:
    """Return the peak so far: of the memory that PyTorch has taken on a GPU, else of this process (0 on Windows)."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_reserved(device)
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def retain_freed_memory() -> bool:
    """Make glibc's allocator keep freed memory for this process; return False where that is not possible.

    By default glibc returns each large block to the system, and a training step that takes it again waits for the
    system to clear it. A process then holds its peak memory until it ends, so programs call this, and libraries don't.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
