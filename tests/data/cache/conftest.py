"""Fixtures of the cache tests: a data set, and limits of space."""

import resource
from pathlib import Path
from types import SimpleNamespace

import pytest
from cached import COUNT
from making import noise, save_halves

from pix2pix.data.cache import budget as cache_module
from pix2pix.data.cache import disk as cache_file


@pytest.fixture
def root(tmp_path) -> Path:
    for split, seeds in (("train", range(COUNT)), ("val", range(50, 52))):
        for i, seed in enumerate(seeds):
            save_halves(tmp_path / f"data/{split}/{i}.png", noise(30, 20, seed), noise(30, 20, 100 + seed))
    return tmp_path / "data"


@pytest.fixture
def limited():
    """Sets the size that a file may have, in this process; undone after the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def room(monkeypatch):
    """A run of two splits on a machine with so much free memory and disk: where each is kept."""
    monkeypatch.setattr(cache_module, "free_memory", lambda: room.memory)
    for module in (cache_module, cache_file):
        monkeypatch.setattr(module, "free_space", lambda path: room.disk)
    room = SimpleNamespace(memory=0, disk=0)
    return room
