"""Shared memory that is full: told from every other error, and said with its remedies."""

import errno
import os
import signal

import pytest
import torch

from pix2pix.data import worker_processes
from pix2pix.errors import DataError


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"), True),
        (
            RuntimeError("worker is killed by signal: Bus error. It is possible that workers are out of shared memory"),
            True,
        ),
        (RuntimeError("unable to open shared memory object </torch_1>: Too many open files (24)"), False),
        (OSError(errno.EIO, os.strerror(errno.EIO)), False),
    ],
)
def test_a_batch_that_finds_no_shared_memory_is_an_error_as_a_value(monkeypatch, error, full):
    def fail(self):
        raise error

    monkeypatch.setattr(torch.Tensor, "share_memory_", fail)
    batch = {"index": torch.tensor([1])}
    if not full:
        with pytest.raises(type(error)):
            worker_processes.shared(batch)
        return
    found = worker_processes.shared(batch)
    assert type(found) is DataError and found.exit_code == 3
    assert "--shm-size" in str(found) and "data.workers=0" in str(found)


def test_a_bus_error_is_told_from_other_deaths():
    assert worker_processes.died_of_shared_memory([None, -signal.SIGBUS])
    assert not worker_processes.died_of_shared_memory([None, 0, -signal.SIGKILL])


def test_a_batch_is_shared_and_the_handler_of_dead_children_is_put_back():
    batch = worker_processes.shared({"input": torch.arange(6.0)})
    assert batch["input"].is_shared() and batch["input"].tolist() == [0, 1, 2, 3, 4, 5]
    before = signal.getsignal(signal.SIGCHLD)
    with worker_processes.without_torchs_handler():
        signal.signal(signal.SIGCHLD, lambda *_: None)
    assert signal.getsignal(signal.SIGCHLD) == before
