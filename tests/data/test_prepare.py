"""A prepared data set returns what it reads, and names the files that it cannot read."""

import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from making import noise, save_halves
from PIL import Image

from pix2pix.config import DataConfig
from pix2pix.data import PairedDataset
from pix2pix.data.dataset import open_eval_split, open_split
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import DataError
from pix2pix.runtime.parallel import cores
from pix2pix.runtime.signals import Stopped, stop_when


def test_cached_or_not_the_pixels_are_the_same(tmp_path):
    pairs = DatasetIndex.scan(DataConfig(layout="side-by-side", val_fraction=0, root=str(_folder(tmp_path)))).pairs(
        "train", (8, 8)
    )
    for size in ((20, 16), (13, 9), (30, 31)):
        sets = {cache: PairedDataset(pairs, size, cache=cache).prepare() for cache in ("memory", "auto", "off")}
        assert [(data.cache_state.where == "memory") for data in sets.values()] == [True, True, False]
        assert len(sets["off"]) == 6
        for i in range(6):
            for key, seed in (("input", i), ("target", 100 + i)):
                want = Image.fromarray(noise(20, 16, seed)).resize(size[::-1], Image.Resampling.BICUBIC)
                for data in sets.values():
                    assert data[i][key].dtype == torch.uint8
                    assert np.array_equal(data[i][key].permute(1, 2, 0), want)
                    assert (data[i]["name"], data[i]["index"]) == (str(i), i)
    bilinear = PairedDataset(pairs, (13, 9), "bilinear")[0]["input"]  # unprepared, so read on the spot
    want = Image.fromarray(noise(20, 16, 0)).resize((9, 13), Image.Resampling.BILINEAR)
    assert np.array_equal(bilinear.permute(1, 2, 0), want)
    config = DataConfig(
        layout="side-by-side", val_fraction=0, root=str(tmp_path), interpolation="bilinear", cache="off"
    )
    data = open_split(config, "train", (13, 9))
    assert torch.equal(data[0]["input"], bilinear) and data.cache_state.where == "off" and data.layout == "side-by-side"


@pytest.mark.parametrize("cache", ["auto", "memory", "off"])
def test_pairs_of_their_own_size_are_cached_like_others(tmp_path, cache, monkeypatch):
    root = _folder(tmp_path, 2)
    save_halves(root / "train/2.png", noise(5, 7), noise(5, 7, 1))
    config = DataConfig(layout="side-by-side", val_fraction=0, root=str(root), direction="b2a", cache=cache)
    data = open_split(config, "train", None).prepare()
    assert (data.cache_state.where == "memory") == (cache != "off") and data.nbytes == 6 * (20 * 16 * 2 + 5 * 7)
    assert [tuple(data[i]["input"].shape) for i in range(3)] == [(3, 20, 16), (3, 20, 16), (3, 5, 7)]
    assert np.array_equal(data[2]["input"].permute(1, 2, 0), noise(5, 7, 1))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=4 * data.nbytes - 4))
    assert (open_split(config, "train", None).cache_state.where == "memory") == (cache == "memory")


@pytest.mark.parametrize("cache", ["memory", "off"])
def test_prepare_names_the_broken_file_in_the_middle(tmp_path, cache):
    pairs = DatasetIndex.scan(DataConfig(layout="side-by-side", val_fraction=0, root=str(_folder(tmp_path, 30)))).pairs(
        "train", (8, 8)
    )
    broken = tmp_path / "train/17.png"
    before = list(warnings.filters)
    PairedDataset(pairs, (8, 8), cache=cache).prepare()
    assert warnings.filters == before
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    data = PairedDataset(pairs, (8, 8), cache=cache)
    with pytest.raises(DataError, match=r"17\.png: cannot be read"):  # cut off: a header cannot tell
        data[[pair.name for pair in pairs].index("17")] if cache == "off" else data.prepare()
    broken.write_text("no picture")
    with pytest.raises(DataError, match=r"17\.png: is not an image"):
        data.prepare()
    broken.write_bytes(whole)
    assert len(data.prepare(progress=True)) == 30  # once it is mended


def test_what_the_cache_takes_and_when_it_is_refused(tmp_path, monkeypatch):
    pairs = DatasetIndex.scan(DataConfig(layout="side-by-side", val_fraction=0, root=str(_folder(tmp_path)))).pairs(
        "train", (8, 8)
    )
    size = 6 * 2 * 3 * 10 * 12
    assert PairedDataset(pairs, (10, 12)).nbytes == size

    def cached(cache: str, free: int) -> bool:
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free))
        data = PairedDataset(pairs, (10, 12), cache=cache).prepare()
        assert data[5]["input"].shape == (3, 10, 12)
        return data.cache_state.where == "memory"

    assert cached("auto", 4 * size) and not cached("auto", 4 * size - 4)
    assert cached("memory", 0) and not cached("off", 1 << 40)


def test_from_folder_and_files(tmp_path):
    root = _folder(tmp_path, 2)
    (root / "val/a").mkdir(parents=True)
    (root / "val/b").mkdir()
    for letter in "ab":
        Image.fromarray(noise(4, 6, ord(letter))).save(root / "val" / letter / "x.png")
    data = PairedDataset.from_folder(root, "val", "b2a", load_size=9)
    assert (data.layout, len(data), data.load_size) == ("two-folders", 1, (9, 9))
    assert data.files(0) == [str(root / "val/b/x.png"), str(root / "val/a/x.png")]
    data = PairedDataset.from_folder(str(root), layout="side-by-side")
    assert (data.layout, data.files(1)) == ("side-by-side", [str(root / "train/1.png")])
    assert np.array_equal(data[1]["target"].permute(1, 2, 0), noise(20, 16, 101))
    drawn = open_split(DataConfig(layout="synthetic"), "val", (16, 16))
    assert drawn.files(3) == ["val_0003"]
    with pytest.raises(DataError, match="no such folder"):
        PairedDataset.from_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("how", ["split", "fixed"])
def test_a_stop_is_noticed_while_broken_pairs_are_searched(tmp_path, monkeypatch, how):
    root, read = _folder(tmp_path, 60), []
    for name in ("11", "7"):
        (root / f"train/{name}.png").write_bytes(b"no picture")
    data = DataConfig(
        layout="side-by-side",
        val_fraction=0,
        root=str(root),
        skip_broken=True,
        cache="off",
        image_size=16,
        load_size=16,
    )
    open_it = partial(open_split, size=(16, 16)) if how == "split" else open_eval_split
    whole = open_it(data, "train")
    names = [pair.name for pair in DatasetIndex.scan(data).pairs("train", (16, 16))]
    assert [pair.name for pair in whole.pairs] == [name for name in names if name not in ("11", "7")]
    assert [str(error).split(":")[0] for error in whole.skipped] == [str(root / f"train/{n}.png") for n in ("11", "7")]
    pair = type(whole.pairs[0])
    before = pair.read
    monkeypatch.setattr(pair, "read", lambda self, formats: read.append(self) or before(self, formats))
    with pytest.raises(Stopped), stop_when(lambda: len(read) >= 3):
        open_it(data, "train", formats=whole.formats)
    assert 3 <= len(read) < 3 + cores()


def _folder(root, count: int = 6):
    for i in range(count):
        save_halves(root / f"train/{i}.png", noise(20, 16, i), noise(20, 16, 100 + i))
    return root
