"""Devices and number formats."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from pix2pix.errors import ConfigError, DeviceError


def pick_device(name: str = "auto") -> torch.device:
    """Return a device; `auto` is the first CUDA GPU, else Apple's, else the CPU.

    Raises ConfigError for an unknown name, DeviceError where the device is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and torch.cuda.is_available():  # torchrun starts a process for each GPU
        name = f"cuda:{os.environ.get('LOCAL_RANK', torch.cuda.current_device())}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"unknown device '{name}'; give auto, cpu, cuda, cuda:N or mps") from None
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}.get(device.type, True)
    if not available or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"device '{name}' is not available on this machine; use --device auto or --device cpu")
    return device


def describe_device(device: torch.device) -> str:
    """Describe a device, with the name of the GPU or the threads of the CPU."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"{device} ({threads} thread)" if threads == 1 else f"{device} ({threads} threads)"


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or the type of another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Return the context in which networks run: bf16 autocast for `bf16`, else no autocast."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Use deterministic algorithms only, if `on`; the previous setting of PyTorch is restored at the end."""
    if not on:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
