"""Where pairs are cached: in memory, on disk or nowhere."""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cached import COUNT, SIZE, files, opened
from commands import TINY, overrides, pix2pix
from making import save_halves

from pix2pix.config import DataConfig
from pix2pix.data.cache import budget as cache_module
from pix2pix.data.cache.budget import CacheBudget, cache_folder, free_memory
from pix2pix.data.cache.state import show_bytes
from pix2pix.data.dataset import open_split
from pix2pix.data.loader import worker_count
from pix2pix.errors import DataError


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
