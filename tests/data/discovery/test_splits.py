"""Splits by name: what is held out where there is no split val on disk."""

import hashlib
import re

import pytest
from layouts import LAYOUTS, SIZE, is_validation_key, make

from pix2pix.config import DataConfig
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import DataError

FIRST_OF_VAL = ["9", "39", "49", "51", "55", "65"]  # by coreutils: printf %s 9 | sha256sum


def test_the_split_by_name_is_the_same_for_ever(tmp_path):
    val = {
        f"{i}" for i in range(200) if int.from_bytes(hashlib.sha256(f"{i}".encode()).digest()[:8], "big") < 0.1 * 2**64
    }
    assert sorted(val, key=int)[:6] == FIRST_OF_VAL  # what earlier versions picked
    for count in (60, 200):
        make(tmp_path, ["{n}.png"], {"": [f"{i}" for i in range(count)]})
        index = DatasetIndex.scan(DataConfig(root=str(tmp_path)))
        pairs = {split: index.pairs(split, SIZE) for split in ("train", "val")}
        assert {pair.name for pair in pairs["val"]} == {name for name in val if int(name) < count}
        assert len(pairs["train"]) + len(pairs["val"]) == count
    larger = DatasetIndex.scan(DataConfig(root=str(tmp_path), val_fraction=0.5)).pairs("val", SIZE)
    assert val < {pair.name for pair in larger} and 75 < len(larger) < 125


def test_at_least_one_pair_is_held_out_and_never_all(tmp_path):
    make(tmp_path, ["a/{n}.png", "b/{n}.png"], {"": ["1", "2"]})  # neither hash is below 0.1; that of 1 is smaller
    for fraction in (0.1, 0.9999):
        index = DatasetIndex.scan(DataConfig(root=str(tmp_path), val_fraction=fraction))
        assert index.splits == ["train", "val"]
        assert [[pair.name for pair in index.pairs(split, SIZE)] for split in index.splits] == [["2"], ["1"]]
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).unlink()
    assert DatasetIndex.scan(DataConfig(root=str(tmp_path))).splits == ["train"]  # one pair is for training


@pytest.mark.parametrize("kind", LAYOUTS)
def test_training_pairs_are_held_out_where_val_is_not_on_disk(tmp_path, kind):
    """Never the test split: it is not judged on."""
    names = [f"{i:02}" for i in range(30)]
    make(tmp_path, LAYOUTS[kind][0], {"train": names, "test": ["t"]})
    data = DataConfig(root=str(tmp_path))
    index = DatasetIndex.scan(data)
    assert index.splits == ["train", "val", "test"] and index.evaluation_split == "val"
    assert index.layout("val").val_fraction == 0.1
    found = {split: [pair.name for pair in index.pairs(split, SIZE)] for split in index.splits}
    held_out = [name for name in names if is_validation_key(name)]
    assert held_out and found == {"train": sorted({*names} - {*held_out}), "val": held_out, "test": ["t"]}
    index = DatasetIndex.scan(data.model_copy(update={"val_fraction": 0.0}))
    assert index.splits == ["train", "test"] and index.evaluation_split == "test"
    assert [pair.name for pair in index.pairs("train", SIZE)] == names


def test_splits_that_nothing_is_held_out_for(tmp_path):
    make(tmp_path, ["a/{n}.png", "b/{n}.png"], {"": ["1", "2"]})
    data = DataConfig(root=str(tmp_path), val_fraction=0.0)
    assert DatasetIndex.scan(data).splits == ["train"]
    for split in ("val", "test"):
        with pytest.raises(DataError, match=re.escape(str(tmp_path))) as caught:
            DatasetIndex.scan(data).pairs(split, SIZE)
        assert caught.value.code == "missing-split"
