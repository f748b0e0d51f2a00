"""The allocator of the C library keeps freed memory, where there is glibc."""

import sys
from types import SimpleNamespace

import pytest

from pix2pix.runtime import memory

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@pytest.mark.parametrize("accepted", [1, 0])
def test_no_block_is_mapped_and_none_is_returned(monkeypatch, accepted):
    calls = []

    def mallopt(option: int, value: int) -> int:
        calls.append((option, value))
        return accepted

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert memory.retain_freed_memory() is bool(accepted)
    assert calls == [(M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1)][: 1 + accepted]


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_other_c_libraries_are_left_alone(monkeypatch, capfd, platform):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace())  # such as musl's, without mallopt
    assert memory.retain_freed_memory() is False
    assert capfd.readouterr() == ("", "")
