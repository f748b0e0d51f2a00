"""What the machine can do: its name, the peak of its matrix products, its copy bandwidth, and memory in use."""

import ctypes
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

_SECONDS = 1.0  # duration of each measurement of a peak


def processor_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_peak(device: torch.device, side: int | None = None) -> float:
    """Return the FLOP/s of the best fp32 product of two square matrices; TF32 as PyTorch is set."""
    side = side or (8192 if device.type == "cuda" else 2048)
    a, b = torch.randn(2, side, side, device=device)
    out = torch.empty_like(a)
    return 2 * side**3 / _best(lambda: torch.mm(a, b, out=out), device)


def copy_bandwidth(device: torch.device, size: int = 2**28) -> float:
    """Return the bytes/s of the best copy of `size` bytes, counting both the bytes read and the bytes written."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _best(lambda: target.copy_(source), device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest call, since other programs on the machine only make calls slower."""
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < _SECONDS or best == float("inf"):
        synchronize(device)
        before = time.perf_counter()
        work()
        synchronize(device)
        best = min(best, time.perf_counter() - before)
    return best


def count_flops(work: Callable[[], object]) -> int:
    """Return the floating-point operations of the convolutions and matrix products in a call."""
    from torch.utils.flop_counter import FlopCounterMode  # a slow import

    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def peak_memory(work: Callable[[], object], device: torch.device) -> int | None:
    """Return the peak increase of the bytes in use during a call; None if it cannot be measured.

    On a CPU that is the memory of the process, on Linux; the process must not keep freed memory.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    if sys.platform != "linux":
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only in glibc
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak to the current use
    except OSError:
        return None
    before = _status("VmRSS")
    work()
    return max(0, _status("VmHWM") - before)


def _status(field: str) -> int:
    """Return a field of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
