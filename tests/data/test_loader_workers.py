"""Workers of the loader: killed, hung, suspended or left behind, they are reported in time."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from pix2pix.config import DataConfig
from pix2pix.data.dataset import open_split
from pix2pix.data.loader import PairLoader
from pix2pix.errors import DataError

CROP = (24, 24)


@pytest.fixture(scope="module")
def dataset():
    drawn = DataConfig(layout="synthetic", synthetic={"train": 20, "val": 1, "test": 1})
    return open_split(drawn, "train", (32, 32))


KEPT = """
from pix2pix.config import DataConfig
from pix2pix.data.dataset import open_split
from pix2pix.data.loader import PairLoader

data = open_split(DataConfig(layout="synthetic"), "train", (32, 32))
loader = PairLoader(data, (32, 32), 2, workers=1)
batches = loader.epoch(0)
next(batches)
"""


def test_workers_that_are_still_there_at_the_end_do_not_keep_the_program_alive():
    # They ignore the SIGTERM with which Python would end them, and it would wait for them without end.
    subprocess.run([sys.executable, "-c", KEPT], check=True, timeout=60)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_that_hang_between_epochs_are_said_in_time_and_killed(dataset, monkeypatch):
    monkeypatch.setattr("pix2pix.data.loader.PATIENCE", 1)
    with pytest.raises(DataError, match="returned no batch for 1 s"), PairLoader(dataset, CROP, workers=2) as loader:
        [*loader.epoch(0)]
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGSTOP)
        loader.epoch(1)
    assert not multiprocessing.active_children()
    with PairLoader(dataset, CROP, workers=1) as loader:  # nor do they outlive a loader that is closed
        [*loader.epoch(0)]
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGSTOP)
    assert not multiprocessing.active_children()


SUSPENDED = """
import time
from pix2pix.config import DataConfig
from pix2pix.data import loader as module
from pix2pix.data.dataset import PairedDataset, open_split
before = PairedDataset.__getitem__
def slow(self, index):
    for _ in range(30):  # of time in which it runs
        time.sleep(0.05)
    return before(self, index)
PairedDataset.__getitem__, module.PATIENCE = slow, 4
with module.PairLoader(open_split(DataConfig(layout="synthetic"), "train", (32, 32)), (32, 32), workers=1) as loader:
    batches = loader.epoch(0)
    next(batches)
    print("here", flush=True)
    next(batches)
    print("there", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows suspends nothing so")
def test_a_time_in_which_the_whole_job_is_suspended_makes_no_worker_late():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SUSPENDED], start_new_session=True, **pipes) as run:
        assert run.stdout.readline() == "here\n"
        time.sleep(0.4)  # so that it waits for its second batch
        os.killpg(run.pid, signal.SIGSTOP)
        time.sleep(5)
        os.killpg(run.pid, signal.SIGCONT)
        out, errors = run.communicate(timeout=60)
    assert (run.returncode, out, errors) == (0, "there\n", "")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_closed_loader_has_no_workers_and_can_start_anew(dataset):
    loader = PairLoader(dataset, CROP, batch_size=9, workers=2)
    first = [batch["input"] for batch in loader.epoch(0)]
    assert len(multiprocessing.active_children()) == 2
    loader.close()
    assert not multiprocessing.active_children()
    assert all(map(torch.equal, first, [batch["input"] for batch in loader.epoch(0)]))
    loader.close()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGSTOP"])
def test_a_worker_that_is_killed_or_hangs_is_reported_in_time(monkeypatch, number):
    monkeypatch.setattr("pix2pix.data.loader.PATIENCE", 3)
    drawn = DataConfig(layout="synthetic", cache="off", synthetic={"train": 300, "val": 2, "test": 1})
    loader = PairLoader(open_split(drawn, "train", (64, 64)), (64, 64), workers=2)
    batches = loader.epoch(0)
    next(batches)
    hit = multiprocessing.active_children()
    for worker in hit[: 1 if number == "SIGKILL" else 2]:
        os.kill(worker.pid, getattr(signal, number))
    start = time.monotonic()
    with loader, pytest.raises(DataError) as caught:
        list(batches)
    assert time.monotonic() - start < 30 and "data.workers" in caught.value.remedy
    assert not any(worker.is_alive() for worker in hit)
