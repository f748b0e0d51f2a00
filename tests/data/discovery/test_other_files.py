"""Files that are no images: counted by suffix, and named where there are no others."""

import json

import pytest
from commands import TINY, picture, pix2pix

from pix2pix.config import DataConfig
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import DataError
from pix2pix.inference.files import find_images

COUNTS = {".txt": 3, ".db": 2, "": 1, ".md": 1}


def two_folders(root, suffix: str = ".png"):
    """Two pairs in a split, seven other files, and some that do not count."""
    for side in "ab":
        for number in range(2):
            path = picture(root / "train" / side / f"{number}.png", seed=number)
            path.rename(path.with_suffix(suffix))
    for name in ("a/1.txt", "a/2.TXT", "b/Thumbs.db", "b/x.db", "x.txt", "LICENSE"):
        (root / "train" / name).touch()
    (root / "readme.md").touch()
    for name in (".hidden.txt", "classes.txt", ".DS_Store"):
        (root / name).touch()
    return root


def index_of(root) -> DatasetIndex:
    return DatasetIndex.scan(DataConfig(root=str(root), val_fraction=0.5))


def test_other_files_are_counted_by_suffix(tmp_path):
    index = index_of(two_folders(tmp_path))
    assert len(index.pairs("train", (32, 32))) == 1 and index.skipped_files == COUNTS
    assert list(index.skipped_files)[:2] == [".txt", ".db"]
    (tmp_path / "pairs.csv").write_text("train/a/0.png,train/b/0.png\ntrain/a/1.png,train/b/1.png\n")
    listed = index_of(tmp_path / "pairs.csv")
    assert len(listed.pairs("train", (32, 32))) == 1 and listed.skipped_files == {}


def test_the_plan_and_check_count_them(tmp_path):
    two_folders(tmp_path / "set")
    settings = ("--data", tmp_path / "set", "--set", "data.direction=null", "--set", "data.layout=auto")
    report = json.loads(pix2pix("check", "--json", *TINY, *settings).out)
    assert report["skipped_files"] == COUNTS
    assert [one["severity"] for one in report["findings"] if one["code"] == "other-files"] == ["note"]
    done = pix2pix("train", *TINY, *settings, "--set", "schedule.epochs=1", "--output", tmp_path / "run")
    assert done.code == 0
    assert "3 .txt, 2 .db, 1 without a suffix, 1 .md" in next(
        line for line in done.out.splitlines() if "other files" in line
    )


def test_where_no_format_is_read_the_error_names_those_that_are_there(tmp_path):
    for name, suffix in (("a", ".heic"), ("b", ".svg")):
        with pytest.raises(DataError) as refused:
            index_of(two_folders(tmp_path / name, suffix)).pairs("train", (32, 32))
        assert f"4 {suffix}" in str(refused.value) and "convert" in str(refused.value)
        with pytest.raises(DataError) as refused:
            find_images(str(tmp_path / name))
        assert f"4 {suffix}" in refused.value.reason and "convert" in refused.value.remedy
    for number in range(3):
        picture(tmp_path / f"c/train/{number}.png").rename(tmp_path / f"c/train/{number}.heic")
    with pytest.raises(DataError) as refused:
        index_of(tmp_path / "c").pairs("train", (32, 32))
    assert "3 .heic" in str(refused.value)
