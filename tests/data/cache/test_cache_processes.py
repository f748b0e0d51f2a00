"""Several processes share a cache: one builds, others wait, and workers read the same values."""

import copy
import fcntl
import multiprocessing
import os
import pickle
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from cached import COUNT, files, opened, pixels, same, unreadable
from forked import PIPE, Program

from pix2pix.data.cache import writing as cache_writing
from pix2pix.data.cache.budget import cache_folder
from pix2pix.data.loader import PairLoader
from pix2pix.runtime.lock import LockUnsupportedError
from pix2pix.runtime.signals import Stopped, stop_when

NO_LOCKS = """
from pix2pix.data.cache import writing
from pix2pix.runtime.lock import LockUnsupportedError
def lock(*args):
    raise LockUnsupportedError("no locks")
writing.lock = lock
"""


BUILD = """
import logging, sys, time
logging.basicConfig()
from pix2pix.config import DataConfig
from pix2pix.data.dataset import PairedDataset, open_split
read, count = PairedDataset._read, [0]
def slow(self, index):
    count[0] += 1
    time.sleep(0.15)
    return read(self, index)
PairedDataset._read = slow
data = open_split(DataConfig(root=sys.argv[1], layout="side-by-side", cache="disk"), "train", (24, 19))
print("ready", flush=True)
sys.stdin.readline()
data.prepare(progress=True)
print(count[0], sum(int(data[i][key].sum()) for i in range(len(data)) for key in ("input", "target")))
"""


def _start(root: Path, first: str = "") -> Program:
    process = Program(first + BUILD, root, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("locks", [True, False])
def test_two_processes_that_build_at_once(root, locks):
    """With locks, the second waits; without, as on Windows, both build, and the last one's file stays."""
    total = sum(int(pair.astype(int).sum()) for pair in pixels(opened(root, "off")))
    both = [_start(root, "" if locks else NO_LOCKS) for _ in range(2)]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in both]
    decoded, sums = zip(*(map(int, out.split()) for out, _ in said), strict=True)
    assert sums == (total, total) and sorted(decoded) == ([0, COUNT] if locks else [COUNT, COUNT])
    assert sum("is writing it already" in err for _, err in said) == locks
    assert len(files()) == 1 and same(pixels(opened(root).prepare()), pixels(opened(root, "off")))


def test_a_stop_is_heard_while_another_process_builds(root, log):
    data = opened(root)
    busy = data._cache.path.with_name(f".{data._cache.cache_prefix}.lock")
    busy.parent.mkdir(parents=True, exist_ok=True)
    with open(busy, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        asked = []
        with stop_when(lambda: asked.append(0) or len(asked) > 2), pytest.raises(Stopped):
            data.prepare(progress=True)
        assert not data._cache.path.exists() and len(asked) > 2
    assert log().count(str(data._cache.path)) == 1  # says once what it waits for
    assert same(pixels(data.prepare()), pixels(opened(root, "off")))


def test_one_that_was_killed_leaves_no_cache_and_its_remains_go(root, monkeypatch):
    process = _start(root)
    process.stdin.write("\n")
    process.stdin.flush()
    while not any(".cache.tmp-" in path.name for path in files()):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert all(path.name.startswith(".") for path in files())
    os.utime(root / "train/0.png", ns=(0, 10**18))  # so that the next file has another name
    data = opened(root).prepare()
    assert files() == [data._cache.path] and same(pixels(data), pixels(opened(root, "off")))


def test_locks_that_a_file_system_has_not(root, monkeypatch):
    def unsupported(*args):
        raise LockUnsupportedError("no locks")

    monkeypatch.setattr(cache_writing, "lock", unsupported)
    data = opened(root).prepare()
    assert files() == [data._cache.path] and same(pixels(data), pixels(opened(root, "off")))


# A machine of one core is warned that two workers are many.
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("cache", ["memory", "disk"])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_the_same(root, cache, start):
    data = opened(root, cache).prepare()

    def batches(workers: int) -> list[np.ndarray]:
        loader = PairLoader(data, (16, 12), 2, True, workers=workers)
        if workers:
            loader._loader.multiprocessing_context = multiprocessing.get_context(start)
        return [np.stack([batch["input"], batch["target"]]) for epoch in (0, 1) for batch in loader.epoch(epoch)]

    assert same(batches(2 if start == "fork" else 1), batches(0))  # a spawned worker imports torch


def test_a_spawned_process_opens_the_file_and_copies_nothing(root, monkeypatch):
    data = opened(root).prepare()
    want = pixels(data)
    sent = pickle.dumps(data)
    assert len(sent) < data.nbytes / 3
    unreadable(monkeypatch)
    assert same(pixels(pickle.loads(sent)), want)
    monkeypatch.undo()
    monkeypatch.setenv("PIX2PIX_CACHE", str(cache_folder()))
    data._cache.path.unlink()
    assert same(pixels(pickle.loads(sent)), want)  # gone: it reads on the spot
    assert same(pixels(pickle.loads(pickle.dumps(opened(root)))), want)  # nor was it there
    assert same(pixels(copy.deepcopy(opened(root, "memory").prepare())), want)


def test_a_spawned_process_shares_memory(root):
    data = opened(root, "memory").prepare()
    before = data[0]["input"]
    want = pixels(data)
    sent = ForkingPickler.dumps(data)
    assert len(sent) < data.nbytes / 3
    received = ForkingPickler.loads(sent)
    assert same(pixels(received), want) and same(pixels(data), want)
    assert np.array_equal(before, want[0][0])  # what was handed out earlier is there still
    received[3]["input"].fill_(5)
    assert (data[3]["input"] == 5).all()
    assert len(ForkingPickler.dumps(opened(root, "memory"))) < 20_000
