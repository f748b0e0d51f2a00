"""Where decoded pairs are kept changes no value; a cache file is whole or not there, never older than its pictures."""

import copy
import errno
import fcntl
import multiprocessing
import os
import pickle
import resource
import shutil
import sys
import tempfile
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from commands import TINY, contents, overrides, pix2pix, refused
from forked import PIPE, Program
from making import noise, save_halves

from pix2pix import load_generator
from pix2pix.config import DataConfig
from pix2pix.data import fingerprint
from pix2pix.data.cache import budget as cache_module
from pix2pix.data.cache import disk as cache_file
from pix2pix.data.cache import writing as cache_writing
from pix2pix.data.cache.budget import CacheBudget, cache_folder, free_memory
from pix2pix.data.cache.disk import DiskCache
from pix2pix.data.cache.memory import ArraySpec, MemoryCache
from pix2pix.data.cache.state import show_bytes
from pix2pix.data.dataset import PairedDataset, open_split
from pix2pix.data.fingerprint import cache_key
from pix2pix.data.loader import PairLoader, worker_count
from pix2pix.data.pairs import FilesPair, SideBySidePair, SyntheticPair
from pix2pix.errors import CheckpointError, DataError
from pix2pix.runtime.lock import LockUnsupportedError
from pix2pix.runtime.signals import Stopped, stop_when

COUNT, SIZE = 9, (24, 19)
MIXED = [
    [ArraySpec((2, 5 + i, 3), "uint8"), ArraySpec((1, 4, 3), "float32"), ArraySpec((i, 3), "uint16")]
    for i in range(COUNT)
]


@pytest.fixture
def root(tmp_path) -> Path:
    for split, count in (("train", COUNT), ("val", 2)):
        for i in range(count):
            save_halves(tmp_path / f"data/{split}/{i}.png", noise(30, 20, i), noise(30, 20, 100 + i))
    return tmp_path / "data"


def opened(root: Path, cache: str = "disk", split: str = "train", size=SIZE, **settings) -> PairedDataset:
    return open_split(
        DataConfig(**{"layout": "side-by-side", "root": str(root), "cache": cache, **settings}), split, size
    )


def pixels(data: PairedDataset) -> list[np.ndarray]:
    return [np.stack([pair["input"], pair["target"]]) for pair in (data[i] for i in range(len(data)))]


def same(one: list, other: list) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def files() -> list[Path]:
    """All files in the cache folder, hidden ones too."""
    return sorted(path for path in cache_folder().rglob("*") if path.is_file() and path.suffix != ".lock")


def unreadable(monkeypatch) -> None:
    """From now on, a pair that is read from its own files fails the test."""
    monkeypatch.setattr(PairedDataset, "_read", lambda self, index: pytest.fail(f"pair {index} was decoded"))


# Values


def test_values_are_the_same_wherever_they_are_kept(root, monkeypatch):
    kept = {cache: opened(root, cache).prepare() for cache in ("memory", "disk", "off")}
    assert [data.cache_state.where for data in kept.values()] == ["memory", "disk", "off"]
    want = pixels(kept["off"])
    assert want[0].shape == (2, 3, *SIZE) and not same(want, pixels(opened(root, "off", size=(19, 24))))
    unreadable(monkeypatch)
    assert same(pixels(kept["memory"]), want) and same(pixels(kept["disk"]), want)
    assert same(pixels(kept["disk"]), want)  # and when they have been read before
    assert same(pixels(opened(root).prepare()), want)  # from the file alone
    assert len(files()) == 1 and files()[0].stat().st_size < 1.2 * kept["disk"].nbytes


def arrays_of(index: int) -> list[np.ndarray]:
    rng = np.random.default_rng(index)
    return [rng.integers(0, 250, side.shape).astype(side.dtype) for side in MIXED[index]]


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_any_shapes_and_number_types(tmp_path, kind):
    cache = MemoryCache(MIXED) if kind == "memory" else DiskCache(MIXED, tmp_path / "x/y.cache", b"k" * 32)
    for prepared in (False, True):
        if prepared:
            cache.prepare(arrays_of)
        for i in (*range(COUNT), 0):
            got = cache.get(i, arrays_of)
            assert [array.dtype for array in got] == [torch.uint8, torch.float32, torch.uint16]
            assert all(np.array_equal(a.numpy(), b) for a, b in zip(got, arrays_of(i), strict=True))


def test_arrays_that_are_not_what_was_said_are_a_bug(tmp_path):
    for specs in ([[ArraySpec((3,), "uint8")]], [[ArraySpec((2, 2), "int8")]], [[ArraySpec((2, 2), "uint8")] * 2]):
        for cache in (MemoryCache(specs), DiskCache(specs, tmp_path / "x", b"k" * 32)):
            with pytest.raises(AssertionError):
                cache.prepare(lambda index: [np.zeros((2, 2), np.uint8)])
    assert contents(tmp_path) == {".x.lock": b""}


def test_training_ends_the_same_wherever_pairs_are_kept(root):
    weights = []
    for cache in ("memory", "disk", "off"):
        flags = ("--set", 'data.layout="side-by-side"', "--set", f"data.cache={cache}", "--set", "data.workers=0")
        assert pix2pix("train", *TINY, "--data", root, *flags, "--output", cache).code == 0
        weights.append(load_generator(f"{cache}/gen.pt").generator.state_dict())
        assert len(files()) == (0 if cache == "memory" else 2)  # train and val
    for other in weights[1:]:
        assert all(torch.equal(value, other[name]) for name, value in weights[0].items()) and len(other) > 10


# The key


def test_the_key_changes_with_each_thing(root):
    def key(recipe: str = "r", **change) -> bytes:
        return cache_key([SideBySidePair(**{"name": "0", "path": one, "direction": "a2b"} | change)], recipe)

    one, other = root / "train/0.png", root / "train/1.png"
    shutil.copyfile(one, other)
    os.utime(one, ns=(0, 10**18))
    os.utime(other, ns=(0, 10**18))
    keys = [key(), key("s"), key(direction="b2a"), key(path=other), key(name="1")]
    os.utime(one, ns=(0, 10**18 + 1000))  # some file systems keep no more than this
    keys.append(key())
    one.write_bytes(one.read_bytes() + b"x")
    os.utime(one, ns=(0, 10**18))
    keys.append(key())
    two = [FilesPair("0", (one, other)), FilesPair("0", (other, one))]
    keys += [cache_key(pairs, "r") for pairs in ([], two[:1], two[1:], two, two[::-1])]
    drawn = SyntheticPair("0", 0, 0, (8, 8), "a2b")
    changes = ({}, {"index": 1}, {"seed": 1}, {"size": (8, 9)}, {"direction": "b2a"})
    keys += [cache_key([SyntheticPair(**vars(drawn) | change)], "r") for change in changes]
    assert len(set(keys)) == len(keys) and {len(key) for key in keys} == {32}
    assert key() == keys[-11]
    other.unlink()
    with pytest.raises(DataError, match=r"1\.png: cannot be read"):
        cache_key(two, "r")


def test_the_key_does_not_depend_on_where_one_stands(root, monkeypatch):
    opened(root).prepare()
    monkeypatch.chdir(root.parent)
    unreadable(monkeypatch)
    assert len(pixels(opened(Path("data")).prepare())) == COUNT


def test_each_setting_that_changes_pixels_has_a_file_of_its_own(root, monkeypatch):
    for i, settings in enumerate(
        ({}, {"direction": "b2a"}, {"interpolation": "bilinear"}, {"size": (19, 24)}, {"split": "val"})
    ):
        data = opened(root, **settings).prepare()
        assert same(pixels(data), pixels(opened(root, "off", **settings))) and len(files()) == i + 1
    unreadable(monkeypatch)
    opened(root, flip=True, batch_size=7, workers=3, image_size=16).prepare()
    assert len(files()) == 5
    pairs = opened(root).pairs  # without a name for the family, the key alone must tell
    ways = ((SIZE, "bicubic"), (SIZE, "bilinear"), ((19, 24), "bilinear"))
    assert len({PairedDataset(pairs, *way, cache="disk")._cache.path for way in ways}) == 3
    monkeypatch.setattr(fingerprint, "FORMAT", 2)
    assert not opened(root).cache_state.reused
    monkeypatch.undo()


@pytest.mark.parametrize("change", ["pixels", "time", "more", "fewer"])
def test_a_changed_file_is_noticed_and_the_old_cache_goes(root, change):
    opened(root, split="val").prepare()
    before, old = pixels(opened(root).prepare()), files()
    if change == "pixels":
        save_halves(root / "train/3.png", noise(30, 20, 50), noise(30, 20, 51))
    elif change == "time":
        os.utime(root / "train/3.png", ns=(0, 10**18))
    elif change == "more":
        save_halves(root / "train/99.png", noise(30, 20, 50), noise(30, 20, 51))
    else:
        (root / "train/3.png").unlink()
    data = opened(root).prepare()
    assert same(pixels(data), pixels(opened(root, "off"))) and same(pixels(data), before) == (change == "time")
    assert len(files()) == 2 and len({*files()} & {*old}) == 1  # val's stays


# Broken files


def _flip(at: int):
    def flip(content: bytes) -> bytes:
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 if at != -1 else len(content) :]

    return flip


DAMAGE = {
    "empty": lambda content: b"",
    "truncated by a byte": lambda content: content[:-1],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"\0",
    "half of it never written": lambda content: content[: len(content) // 2].ljust(len(content), b"\0"),
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"no cache at all".ljust(len(content)),
    "magic": _flip(3),
    "older format": lambda content: content[:8] + bytes([cache_file.FORMAT - 1]) + content[9:],
    "count": _flip(16),
    "another key": _flip(40),
    "a bit of the first pair": _flip(64),
    "a bit of the last pair": lambda content: _flip(len(content) - 4 * (COUNT + 1) - 64)(content),
    "a bit of the table": lambda content: _flip(len(content) - 4 * (COUNT + 1))(content),
    "the last bit": _flip(-1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_broken_file_is_built_anew_when_it_is_opened(root, damage, monkeypatch):
    want = pixels(opened(root).prepare())
    (file,) = files()
    whole = file.read_bytes()
    broken = DAMAGE[damage](whole)
    assert broken != whole
    file.write_bytes(broken)
    assert same(pixels(opened(root).prepare()), want)
    assert files() == [file] and file.read_bytes() == whole
    unreadable(monkeypatch)
    assert same(pixels(opened(root).prepare()), want)


def test_a_bit_in_the_middle_is_repaired_when_it_is_read_and_the_file_goes(root, monkeypatch, log):
    want = pixels(opened(root).prepare())
    (file,) = files()
    whole = file.read_bytes()
    middle = 64 + 4 * (len(whole) - 64) // COUNT
    file.write_bytes(_flip(middle)(whole))
    data = opened(root).prepare()
    decoded, read = [], PairedDataset._read
    monkeypatch.setattr(PairedDataset, "_read", lambda self, index: decoded.append(index) or read(self, index))
    assert same(pixels(data), want) and same(pixels(data), want)
    assert decoded == [4] and files() == []
    assert log().count(f"{file}: pair 4 is damaged") == 1
    opened(root).prepare()
    assert file.read_bytes() == whole and len(decoded) == 1 + COUNT


def test_a_newer_file_is_not_taken_for_the_damaged_one(root):
    want = pixels(opened(root).prepare())
    (file,) = files()
    whole = file.read_bytes()
    file.write_bytes(_flip(64 + 4 * (len(whole) - 64) // COUNT)(whole))
    data = opened(root).prepare()
    file.with_name("new").write_bytes(whole)
    os.replace(file.with_name("new"), file)
    assert same(pixels(data), want) and file.read_bytes() == whole


def test_what_is_changed_in_a_batch_does_not_reach_the_file(root):
    data = opened(root).prepare()
    (file,) = files()
    whole = file.read_bytes()
    data[0]["input"].fill_(7)
    assert file.read_bytes() == whole


# Writing


@pytest.fixture
def limited():
    """Sets the size that a file may have, in this process; undone after the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [100, 5000, -1])  # the header only; some pairs; all but the last byte
def test_a_full_disk_is_said_and_leaves_nothing(root, limited, room):
    data = opened(root)
    limited(data._cache.size - 1 if room < 0 else room)
    with pytest.raises(CheckpointError) as caught:
        data.prepare()
    limited(resource.RLIM_INFINITY)
    words = (
        str(data._cache.path),
        f"{data._cache.size:,} bytes",
        "limit on file size or a quota",
        "PIX2PIX_CACHE",
        "data.cache=off",
    )
    assert [word for word in words if word not in str(caught.value)] == [] and "\n" not in str(caught.value)
    assert os.strerror(errno.EFBIG) in str(caught.value) and "free" not in str(caught.value)
    assert files() == []
    assert same(pixels(data.prepare()), pixels(opened(root, "off")))  # once there is room


def test_a_full_disk_ends_a_run_with_exit_4(root, limited):
    limited(1_000_000)  # enough for a checkpoint, and not for pictures of this size
    flags = ("--set", 'data.layout="side-by-side"', "--set", "data.cache=disk", "--set", "data.load_size=400")
    result = pix2pix("train", *TINY, "--data", root, *flags)
    limited(resource.RLIM_INFINITY)
    refused(result, 4, "cannot be used as a cache", "data.cache=off")
    assert files() == []


def test_too_little_space_is_known_before_anything_is_decoded(root, monkeypatch):
    unreadable(monkeypatch)
    data = opened(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=data._cache.size - 1))
    with pytest.raises(CheckpointError, match=rf"No space left.* {data._cache.size - 1:,} are free there"):
        data.prepare()
    assert files() == []


def test_a_broken_picture_is_named_and_leaves_nothing(root):
    (root / "train/5.png").write_text("no picture")
    with pytest.raises(DataError, match=r"5\.png"):
        opened(root).prepare()
    assert files() == []


def test_the_data_folder_stays_as_it_is(root):
    before = contents(root)
    opened(root).prepare()
    assert contents(root) == before and len(files()) == 1


def test_a_folder_that_cannot_be_written(root, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    for folder, what in (("file", "File exists"), ("file/deep", "Not a directory")):
        monkeypatch.setenv("PIX2PIX_CACHE", str(tmp_path / folder))
        words = rf"{folder}/data-train-.*{what}.*{tmp_path}/file is a file, and a folder is needed.*set PIX2PIX_CACHE"
        with pytest.raises(CheckpointError, match=words):
            opened(root).prepare()
    monkeypatch.setattr(cache_module, "free_memory", lambda: 0)
    assert opened(root, "auto").cache_state.where == "off"
    assert len(pixels(opened(root, "auto").prepare())) == COUNT


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no new file, even from root, on Linux only")
def test_a_read_only_folder(root, monkeypatch):
    want = pixels(opened(root, "off"))
    monkeypatch.setenv("PIX2PIX_CACHE", "/proc/self")
    with pytest.raises(CheckpointError, match="cannot be used as a cache"):
        opened(root).prepare()
    monkeypatch.undo()
    opened(root).prepare()
    folder, no = cache_folder(), lambda *args, **more: (_ for _ in ()).throw(PermissionError(errno.EACCES, "no"))
    opens = os.open
    only_reads = lambda path, flags, *mode: no() if flags & os.O_CREAT else opens(path, flags, *mode)  # noqa: E731
    folder.chmod(0o500)  # for all but root
    try:
        for module, name in ((os, "replace"), (Path, "mkdir"), (Path, "unlink")):  # for root
            monkeypatch.setattr(module, name, no)
        monkeypatch.setattr(os, "open", only_reads)
        unreadable(monkeypatch)
        assert same(pixels(opened(root).prepare()), want)  # what is there already is read
    finally:
        monkeypatch.undo()
        folder.chmod(0o700)


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("cache", ["memory", "disk", "off"])
def test_each_pair_is_decoded_once_where_broken_ones_are_skipped(root, monkeypatch, cache, size):
    want = pixels(opened(root, "off", size=size))
    (root / "train/4.png").write_bytes((root / "train/4.png").read_bytes()[:-300])  # its header is whole
    decoded, read = [], PairedDataset._read
    monkeypatch.setattr(PairedDataset, "_read", lambda self, place: decoded.append(place) or read(self, place))
    data = opened(root, cache, skip_broken=True, size=size).prepare()
    assert sorted(decoded) == list(range(COUNT))
    assert [str(root / "train/4.png") in str(error) for error in data.skipped] == [True]
    assert [pair.name for pair in data.pairs] == [str(i) for i in range(COUNT) if i != 4]
    assert same(pixels(data), want[:4] + want[5:])
    if cache == "disk":
        decoded.clear()
        data = opened(root, cache, skip_broken=True, size=size).prepare()
        assert decoded == [4] and len(data.skipped) == 1 and same(pixels(data), want[:4] + want[5:])


# Several processes

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


# The choice


@pytest.fixture
def room(monkeypatch):
    """A run of two splits on a machine with so much free memory and disk: where each is kept."""
    monkeypatch.setattr(cache_module, "free_memory", lambda: room.memory)
    for module in (cache_module, cache_file):
        monkeypatch.setattr(module, "free_space", lambda path: room.disk)
    room = SimpleNamespace(memory=0, disk=0)
    return room


def _kept(root: Path) -> list[str]:
    config, budget = DataConfig(root=str(root), layout="side-by-side"), CacheBudget()
    splits = [open_split(config, split, SIZE, budget=budget) for split in ("train", "val")]
    return [data.cache_state.where for data in splits]


def test_auto_takes_a_quarter_of_the_free_memory_in_all_then_disk_then_nothing(root, room, monkeypatch):
    train, val = (opened(root, "off", split).nbytes for split in ("train", "val"))
    on_disk = opened(root)._cache.size
    assert (train, val) == (COUNT * 6 * 24 * 19, 2 * 6 * 24 * 19)
    cases = [
        (4 * (train + val), 0, ["memory", "memory"]),
        (4 * (train + val) - 4, 0, ["memory", "off"]),
        (4 * (train + val) - 4, 10**6, ["memory", "disk"]),
        (4 * train - 4, 10**6, ["disk", "memory"]),
        (4 * train - 4, on_disk - 1, ["off", "memory"]),
        (0, on_disk, ["disk", "off"]),
        (0, on_disk - 1, ["off", "disk"]),
        (0, 0, ["off", "off"]),
    ]
    for room.memory, room.disk, want in cases:
        assert _kept(root) == want, (room.memory, room.disk)
    room.memory = 8 * (train + val)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert _kept(root) == ["memory", "memory"]
    room.memory -= 8
    assert _kept(root) == ["memory", "off"]


def test_what_is_there_already_needs_no_room(root, room):
    room.disk = 10**6
    opened(root).prepare()
    room.disk = 0
    assert _kept(root) == ["disk", "off"]
    assert opened(root, "auto").cache_state.reused


def test_the_plan_says_where_pairs_are_kept(root, room):
    def plan(**settings) -> str:
        flags = [word for key, value in settings.items() for word in ("--set", f"data.{key}={value}")]
        result = pix2pix(
            "train",
            *TINY,
            "--data",
            root,
            "--set",
            'data.layout="side-by-side"',
            *overrides({"schedule.epochs": 1}),
            "--fresh",
            *flags,
        )
        assert result.code == 0, result.err
        return next(line for line in result.out.splitlines() if line.startswith("  cache "))

    size = show_bytes(COUNT * 6 * 36 * 36)
    assert f"train in memory, {size}; val in memory, " in plan(cache="memory")
    assert plan(cache="off").endswith("train off; val off")
    assert f"train off: {size} fit neither a quarter of the free memory nor {cache_folder()} (0 bytes free)" in plan()
    room.disk = 10**6
    said = plan()
    assert f"train {cache_folder() / 'data-train-'}" in said and "to be written (all caches there: 0 bytes)" in said
    total = sum(path.stat().st_size for path in files())
    assert f"there already (all caches there: {show_bytes(total)})" in plan()


def test_workers_for_each_kind(root):
    torch.set_num_threads(4)
    try:
        counts = [worker_count("auto", opened(root, cache)) for cache in ("memory", "disk", "off")]
    finally:
        torch.set_num_threads(1)
    assert counts == [0, 2, 4]


def test_a_picture_that_is_not_as_its_header_says_is_no_bug_of_ours(root, monkeypatch):
    """Such as one that was replaced in between."""
    data = opened(root, size=None)
    save_halves(root / "train/3.png", *[np.zeros((8, 6, 3), np.uint8)] * 2)
    with pytest.raises(DataError, match=r"3\.png: has changed since the start; start again"):
        data.prepare()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_the_users_cache_folder(monkeypatch):
    def no_home(*args, **more):
        raise RuntimeError("no home directory")

    for name in ("PIX2PIX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/pix2pix")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/pix2pix")
    monkeypatch.setenv("PIX2PIX_CACHE", "/mine")
    assert cache_folder() == Path("/mine")
    for name in ("PIX2PIX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(cache_module.platformdirs, "user_cache_path", no_home)
    assert cache_folder() == Path(tempfile.gettempdir(), "pix2pix")


def test_free_memory_knows_a_containers_limit(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    texts = {"memory.max": "900\n", "memory.current": "200\n"}
    monkeypatch.setattr(Path, "read_text", lambda path: texts[path.name])
    assert free_memory() == 700
    texts["memory.max"] = "max\n"
    assert free_memory() == 1000
