"""Pairs: found in both layouts, the right way round, and everything that does not fit is named."""

import re
from pathlib import Path

import numpy as np
import pytest
from making import SHARED, noise, save, save_halves

from pix2pix.config import DataConfig
from pix2pix.config.data import SyntheticData
from pix2pix.data.index import DatasetIndex
from pix2pix.data.pairs import FilesPair, SideBySidePair, SyntheticPair
from pix2pix.datasets.synthetic.draw import draw_pair
from pix2pix.errors import DataError

SIZE = (6, 8)
A, B = noise(*SIZE, seed=1), noise(*SIZE, seed=2)


def _find(root: Path, split: str = "train", **settings):
    index = DatasetIndex.scan(DataConfig(root=str(root), **settings))
    return index.layout(split).name, index.pairs(split, SIZE)


def _refused(root: Path, *texts: str, **settings) -> None:
    """Names all of these, in one line."""
    with pytest.raises(DataError) as caught:
        _find(root, **settings)
    message = str(caught.value)
    assert "\n" not in message and all(text in message for text in texts), message


def _unreadable(pair, *texts: str) -> None:
    with pytest.raises(DataError) as caught:
        pair.read()
    assert all(text in str(caught.value) for text in texts), caught.value


def _is(pair, input: np.ndarray, target: np.ndarray) -> None:
    pair.infos()
    for got, want in zip(pair.read(), (input, target), strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, want)


def _two_folders(folder: Path, names=("1",), a: str = "a", b: str = "b") -> Path:
    for name in names:
        save(folder / a / f"{name}.png", A)
        save(folder / b / f"{name}.png", B)
    return folder


@pytest.mark.parametrize("layout", ["auto", "side-by-side"])
@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_side_by_side(tmp_path, layout, direction):
    path = save_halves(tmp_path / "train/1.png", A, B)
    found, [pair] = _find(tmp_path, layout=layout, direction=direction)
    assert (found, pair.name, pair.files) == ("side-by-side", "1", (path,))
    _is(pair, *((A, B) if direction == "a2b" else (B, A)))


@pytest.mark.parametrize("layout", ["auto", "two-folders"])
@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_two_folders(tmp_path, layout, direction):
    folder = _two_folders(tmp_path / "train")
    found, [pair] = _find(tmp_path, layout=layout, direction=direction)
    files = (folder / "a/1.png", folder / "b/1.png")
    assert (found, pair.name) == ("two-folders", "1")
    assert pair.files == (files if direction == "a2b" else files[::-1])
    _is(pair, *((A, B) if direction == "a2b" else (B, A)))


def test_partners_may_differ_in_kind_and_folders_and_extensions_in_case(tmp_path):
    save(tmp_path / "train/A/x.PNG", A)
    save(tmp_path / "train/B/x.Bmp", B)
    _is(_find(tmp_path)[1][0], A, B)
    save_halves(tmp_path / "val/x.PNG", A, B)
    _is(_find(tmp_path, "val")[1][0], A, B)


@pytest.mark.parametrize("layout", ["side-by-side", "two-folders"])
def test_pairs_come_in_the_order_of_their_names(tmp_path, layout):
    names = ["b", "a-c", "10", "a", "2", "a.b", "B"]
    for name in names:
        if layout == "two-folders":
            _two_folders(tmp_path / "train", [name])
        else:
            save_halves(tmp_path / "train" / f"{name}.png", A, B)
    assert [pair.name for pair in _find(tmp_path, layout=layout, val_fraction=0)[1]] == sorted(names)


def test_hidden_files_other_files_and_folders_are_no_pictures(tmp_path):
    folder = _two_folders(tmp_path / "train")
    for other in ("a/.2.png", "b/._1.png", "a/notes.txt", "b/Thumbs.db", ".hidden.png", "README.md", "a/1.png.part"):
        (folder / other).write_text("no picture")
    (folder / "a/deeper.png").mkdir()
    (folder / "more").mkdir()
    layout, pairs = _find(tmp_path)
    assert (layout, [pair.name for pair in pairs]) == ("two-folders", ["1"])


def test_pictures_beside_the_folders_are_ambiguous(tmp_path):
    folder = _two_folders(tmp_path / "train")
    save_halves(folder / "1.png", B, A)
    _refused(tmp_path, str(folder), "data.layout", "side-by-side", "two-folders")
    _is(_find(tmp_path, layout="side-by-side")[1][0], B, A)
    _is(_find(tmp_path, layout="two-folders")[1][0], A, B)


def test_partners_that_are_missing_are_named(tmp_path):
    folder = _two_folders(tmp_path / "train", ["1", "2", "3"])
    (folder / "b/2.png").unlink()
    (folder / "a/3.png").unlink()
    _refused(tmp_path, "2 without a partner", str(folder / "a/2.png"), str(folder / "b/3.png"))
    for i in range(20):
        save(folder / "a" / f"many_{i:02}.png", A)
    _refused(tmp_path, "22 without a partner", "many_08.png", "and 12 more")


def test_a_missing_folder_is_named(tmp_path):
    save(tmp_path / "train/a/1.png", A)
    _refused(tmp_path, str(tmp_path / "train/b"), "needs a and b", layout="two-folders")
    _refused(tmp_path, str(tmp_path / "train"), "no pairs")


def test_two_pictures_of_one_name(tmp_path):
    for name in ("1.png", "1.jpg", "2.png", "3.png", "4.png"):
        save_halves(tmp_path / "train" / name, A, B)
    _refused(tmp_path, "1.png", "1.jpg", "rename or remove one")
    folder = _two_folders(tmp_path / "val")
    save(folder / "b/1.jpg", B)
    with pytest.raises(DataError, match=re.escape(str(folder / "b/1.jpg"))):
        _find(tmp_path, "val")


def test_two_folders_of_one_name(tmp_path):
    folder = _two_folders(tmp_path / "train")
    if (folder / "A").exists():
        pytest.skip("this file system does not tell a from A")
    save(folder / "A/2.png", A)
    _refused(tmp_path, str(folder / "A"), str(folder / "a"), "both count as a; rename or remove all but one")


def test_unequal_sizes_are_named(tmp_path):
    save(tmp_path / "train/a/1.png", A)
    save(tmp_path / "train/b/1.png", noise(8, 7))
    [pair] = _find(tmp_path)[1]
    _unreadable(pair, str(tmp_path / "train/a/1.png"), str(tmp_path / "train/b/1.png"), "8x6", "7x8", "resize one")
    with pytest.raises(DataError, match=r"8x6.*7x8"):
        pair.infos()


def test_sizes_that_differ_by_a_turn_are_explained(tmp_path):
    plain, tagged = save(tmp_path / "a.png", A), save(tmp_path / "b.png", A, 6)
    for files in ((plain, tagged), (tagged, plain)):
        pair = FilesPair("x", files)
        for use in (pair.infos, pair.read):
            with pytest.raises(DataError, match=re.escape(f"{tagged} is rotated by its EXIF orientation: remove that")):
                use()
    save(tagged, noise(5, 5), 6)
    _unreadable(FilesPair("x", (plain, tagged)), str(plain), str(tagged), "resize one")


def test_a_picture_without_two_halves(tmp_path):
    for width in (1, 13):
        path = save(tmp_path / f"{width}.png", noise(8, width))
        pair = SideBySidePair("x", path, "a2b")
        _unreadable(pair, str(path), f"{width} pixels wide", "side by side")
        with pytest.raises(DataError, match=f"{width} pixels wide"):
            pair.infos()


def test_halves_are_those_of_the_turned_picture(tmp_path):
    """The header tells the size before the turn that EXIF asks for; checking must judge as reading does."""
    both = noise(7, 12)
    stored = np.rot90(both)  # 7 wide; orientation 6 turns it back
    for kind in (".png", ".tif", ".jpg"):
        pair = SideBySidePair("x", save(tmp_path / f"even{kind}", stored, 6), "b2a")
        pair.infos()
        assert [half.shape for half in pair.read()] == [(7, 6, 3)] * 2
        pair = SideBySidePair("x", save(tmp_path / f"odd{kind}", both, 6), "a2b")
        for use in (pair.infos, pair.read):
            with pytest.raises(DataError, match="is 7 pixels wide"):
                use()
    turned = FilesPair("x", (save(tmp_path / "a.png", stored, 6), save(tmp_path / "b.png", both)))
    _is(turned, both, both)


def test_check_names_what_is_no_picture(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/1.png").write_text("no picture")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'train/1.png'}: is not an image")):
        _find(tmp_path)[1][0].infos()
    pair = FilesPair("x", (save(tmp_path / "x.png", A), tmp_path / "train/1.png"))
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'train/1.png'}: is not an image")):
        pair.infos()


def test_empty_and_missing_splits(tmp_path):
    (tmp_path / "train").mkdir()
    save_halves(tmp_path / "test/1.png", A, B)
    for layout in ("auto", "side-by-side"):
        _refused(tmp_path, str(tmp_path / "train"), "no pairs", layout=layout)
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir()
    _refused(tmp_path, str(tmp_path / "train"), "no pairs")
    _refused(tmp_path, str(tmp_path / "train"), "no pairs", split="val")  # which would be held out of these
    assert DatasetIndex.scan(DataConfig(root=str(tmp_path))).splits == ["train", "test"]
    (tmp_path / "none").mkdir()
    _refused(tmp_path / "none", str(tmp_path / "none/train"), "has no split (train, val, test)")


def test_a_missing_root_says_how_to_get_one(tmp_path, monkeypatch):
    _refused(tmp_path / "nowhere", str(tmp_path / "nowhere"), "--data", "pix2pix download facades")
    monkeypatch.chdir(tmp_path)
    save_halves(tmp_path / "train/1.png", A, B)  # a root that is not given is not the working folder
    with pytest.raises(DataError, match="pix2pix download facades"):
        DatasetIndex.scan(DataConfig()).pairs("train", SIZE)


def test_drawn_pairs():
    counts = {"train": 5, "val": 3, "test": 4}
    data = DataConfig(layout="synthetic", direction="b2a", synthetic=SyntheticData(**counts, seed=7))
    assert DatasetIndex.scan(data).splits == ["train", "val", "test"]
    found = {split: DatasetIndex.scan(data).pairs(split, (16, 24)) for split in counts}
    assert DatasetIndex.scan(data).layout("train").name == "synthetic"
    pairs = [pair for pairs in found.values() for pair in pairs]
    assert {split: len(pairs) for split, pairs in found.items()} == counts
    assert len({pair.index for pair in pairs}) == len({pair.name for pair in pairs}) == 12
    photo, labels = draw_pair(pairs[-1].index, 7, (16, 24))
    assert pairs[-1].files == () and photo.shape == (16, 24, 3)
    _is(pairs[-1], labels, photo)
    _is(SyntheticPair("x", pairs[-1].index, 7, (16, 24), "a2b"), photo, labels)


def test_splits_of_drawn_pairs_never_meet():
    data = DataConfig(layout="synthetic")
    train, val, test = (DatasetIndex.scan(data).pairs(split, SIZE)[0].index for split in ("train", "val", "test"))
    assert min(val - train, test - val) >= 1_000_000


@pytest.mark.skipif(not (SHARED / "data/facades").is_dir(), reason="the facades are not here")
def test_real_facades_are_photographs_beside_flat_maps():
    facades = SHARED / "data/facades"
    for split, count in (("train", 400), ("val", 100), ("test", 106)):
        layout, pairs = _find(facades, split, direction="b2a")
        assert (layout, len(pairs)) == ("side-by-side", count)
        labels, photo = pairs[0].read()
        assert labels.shape == photo.shape == (256, 256, 3)
        blue = np.abs(labels.astype(int) - (0, 0, 255)).sum(-1) < 60  # the wall's class, or the background's
        assert blue.mean() > 0.1 and np.abs(photo.astype(int) - (0, 0, 255)).sum(-1).min() > 60


def test_a_root_that_cannot_be_looked_into_is_named():
    with pytest.raises(DataError, match=r"^x{300}.*: (cannot be listed|no such folder)"):
        DatasetIndex.scan(DataConfig(root="x" * 300))
