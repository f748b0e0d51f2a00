"""Cache files that are damaged, and caches that cannot be written."""

import errno
import os
import resource
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cached import COUNT, SIZE, files, opened, pixels, same, unreadable
from commands import TINY, contents, pix2pix, refused

from pix2pix.data.cache import budget as cache_module
from pix2pix.data.cache import disk as cache_file
from pix2pix.data.cache.budget import cache_folder
from pix2pix.data.dataset import PairedDataset
from pix2pix.errors import CheckpointError, DataError


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
