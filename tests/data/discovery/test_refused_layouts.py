"""Folders that can be read in no way or in several, and what the errors name."""

import re
from pathlib import Path

import pytest
from layouts import SIZE, check, make, message
from making import noise, save

from pix2pix.config import DataConfig
from pix2pix.data import PairedDataset
from pix2pix.data.index import DatasetIndex

AB, IO = "{}/a/1.png {}/b/1.png", "{}/input/1.png {}/target/1.png"
AMBIGUOUS = {
    f"{AB.format('train', 'train')} trainA/1.png trainB/1.png": ["train/a and ./train/b", "trainA and ./trainB"],
    f"{AB.format('train', 'train')} {IO.format('train', 'train')}": ["train/a and", "train/input and ./train/target"],
    f"{AB.format('train', 'train')} A/train/1.png B/train/1.png": ["train/a and ./train/b", "A/train and ./B/train"],
    f"{AB.format('train', 'train')} train/1.png": ["two-folders ./train/a", "side-by-side ./train"],
    f"{AB.format('.', '.')} 1.png": ["two-folders ./a and ./b", "side-by-side ."],
    f"{AB.format('.', '.')} {IO.format('.', '.')}": ["./a and ./b", "./input and ./target"],
    f"{AB.format('.', '.')} train/1.png": ["two-folders ./a and ./b", "the splits train of ."],
    f"{AB.format('.', '.')} a/train/2.png b/train/2.png": ["two-folders ./a and ./b", "the splits train of ."],
}


def test_no_layout_is_named_that_does_not_help(tmp_path):
    for file in f"{AB.format('.', '.')} {IO.format('.', '.')}".split():
        save(tmp_path / file, noise(*SIZE))
    assert message(root=tmp_path).endswith("move all but one away, or set data.input and data.target to two folders")
    DatasetIndex.scan(DataConfig(root=str(tmp_path), input="a", target="b")).pairs("train", SIZE)
    make(tmp_path, ["p/{s}/{n}.png", "q/{s}/{n}.png"], {"train": ["1"]})
    make(tmp_path, ["{s}/p/{n}.png", "{s}/q/{n}.png"], {"train": ["1"]})
    assert message(root=tmp_path, input="p", target="q").endswith("; move all but one away")


@pytest.mark.parametrize("files", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused_with_both(tmp_path, files):
    for file in files.split():
        save(tmp_path / file, noise(*SIZE))
    text = message(root=tmp_path).replace(str(tmp_path), ".")
    assert text.startswith(".: can be read in 2 ways: ") and "data.input" in text
    for layout in ("side-by-side", "two-folders"):  # those that are named help, and no others do
        if re.search(f"set data.layout to [^,]*{layout}", text):
            DatasetIndex.scan(DataConfig(root=str(tmp_path), layout=layout)).pairs("train", SIZE)
        else:
            assert message(root=tmp_path, layout=layout)
    for words in AMBIGUOUS[files]:
        assert words in text.replace("././", "./") or words.replace("./", "", 1) in text, text


@pytest.mark.parametrize(
    ("files", "settings", "words"),
    [
        ("", {}, "root/train: no such folder; root has no split (train, val, test)"),
        ("v/1.png w/2.png notes.txt", {}, "root: the layout is ambiguous: its folders v, w may be"),
        ("x/1.png", {"layout": "two-folders"}, "root/train: no such folder; root has no split (train, val, test)"),
        ("train/v/1.png train/w/1.png train/0.png", {}, "root/train: the layout is ambiguous: its folders v"),
        ("train/a/1.png train/0.png", {}, "root/train: the layout is ambiguous: its folders a may be"),
        ("train/a/1.png", {}, "root/train/b: no such folder, so root/train/a holds no pairs; the layout two-folders"),
        ("B/train/1.png", {}, "root/a/train: no such folder, so root/B/train holds no pairs"),
        ("trainA/1.png", {}, "root/trainB: no such folder, so root/trainA holds no pairs"),
        ("train/target/1.png", {}, "root/train/input: no such folder, so root/train/target holds no pairs; the layout "
         "two-folders needs input and target"),
        ("a/1.png", {}, "it holds the folder a; name two folders with data.input"),
        ("train/a/1.png train/b/1.png", {"layout": "side-by-side"}, "root/train: holds no pairs; it should hold"),
        ("a/train/1.png b/train/1.png", {"layout": "side-by-side"}, "root: holds no pairs; it should hold"),
        ("train/1.png", {"layout": "two-folders"}, "root/train: holds no pairs; it should hold"),
        ("facades/train/1.png", {}, "root/facades/train: looks like a split of another data set; set data.root to"),
        ("facades/train/1.png", {"layout": "side-by-side"}, "looks like a split of another data set"),
        ("a/x/val/1.png b/x/val/1.png", {}, "root/a/x/val: looks like a split of another data set"),
        ("val/1.png", {}, "root/train: no such folder; root has val"),
        ("p/1.png", {"input": "p", "target": "q"}, "root/q: no such folder; root holds the folder p"),
        ("p/1.png q/2.png", {"input": "p", "target": "q"}, "root/p and root/q: 2 without a partner of the same name"),
        ("p/train/1.png q/val/1.png", {"input": "p", "target": "q"}, "root/q/train: no such folder, so root/p/train "
         "holds no pairs; the layout two-folders needs input and target"),
        ("p/q/1.png", {"input": "p", "target": "p/q"}, "root/p and root/p/q: no folder may be"),
        ("p/1.png", {"input": "p", "target": "./p"}, "root/p and root/p: no folder may be"),
        ("a/x/1.png a/x/1.jpg b/x/1.png", {}, "root/a/x/1.jpg and root/a/x/1.png have the same name"),
        ("x/1.png x/1.jpg", {"layout": "side-by-side"}, "root/x/1.jpg and root/x/1.png have the same name"),
        ("a/x/1.png b/y/1.png", {}, "2 without a partner of the same name: root/a/x/1.png, root/b/y/1.png; add or"),
        ("", {"layout": "manifest"}, "root: is not a manifest and contains none, but data.layout"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_is_there(tmp_path, monkeypatch, files, settings, words):
    monkeypatch.chdir(tmp_path)
    Path("root").mkdir()
    for file in files.split():
        if file.endswith(".txt"):
            Path("root", file).touch()
        else:
            save(Path("root", file), noise(*SIZE))
    assert words in message(root="root", **settings)


def test_groups_of_pictures_side_by_side_are_taken_where_that_is_said_or_sure(tmp_path):
    make(tmp_path, ["{s}/{n}.png"], {"train": ["v/1", "w/1"]})
    check(PairedDataset.from_folder(tmp_path, layout="side-by-side", val_fraction=0), ["v/1", "w/1"])
    make(tmp_path, ["{s}/{n}.png"], {"val": ["0", "v/1", "w/2"]})
    check(PairedDataset.from_folder(tmp_path, "val"), ["0", "v/1", "w/2"])


def test_a_root_that_is_a_file_or_out_of_reach(tmp_path):
    file = save(tmp_path / "1.png", noise(*SIZE))
    assert f"{file}: is a file, but neither a manifest nor an archive; set data.root" in message(root=file)
    assert "data.root: no such folder" in message()
