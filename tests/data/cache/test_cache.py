"""Where decoded pairs are kept changes no value; a cache file is whole or not there, never older than its pictures."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cached import COUNT, SIZE, files, opened, pixels, same, unreadable
from commands import TINY, contents, pix2pix
from making import noise, save_halves

from pix2pix import load_generator
from pix2pix.data import fingerprint
from pix2pix.data.cache.disk import DiskCache
from pix2pix.data.cache.memory import ArraySpec, MemoryCache
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.fingerprint import cache_key
from pix2pix.data.pairs import FilesPair, SideBySidePair, SyntheticPair
from pix2pix.errors import DataError

MIXED = [
    [ArraySpec((2, 5 + i, 3), "uint8"), ArraySpec((1, 4, 3), "float32"), ArraySpec((i, 3), "uint16")]
    for i in range(COUNT)
]


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
