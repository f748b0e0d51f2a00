"""Every layout, found by itself and forced, down to the pixels."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import pix2pix
from identity import Identity, trained
from layouts import ALL, LAYOUTS, SIZE, SPLITS, WITHOUT_SPLIT, check, is_validation_key, make, message, pixels
from making import noise, save
from PIL import Image

from pix2pix.config import DataConfig
from pix2pix.data import PairedDataset
from pix2pix.data.dataset import open_split
from pix2pix.data.index import DatasetIndex
from pix2pix.data.training_data import open_training_data
from pix2pix.inference.files import translate_split
from pix2pix.inference.translator import Translator
from pix2pix.weights import load_generator_file


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("direction", [None, "a2b", "b2a"])
def test_layouts_with_splits(tmp_path, kind, forced, direction):
    paths, layout, named = LAYOUTS[kind]
    make(tmp_path, paths)
    settings = {"direction": direction, "layout": layout if forced else "auto"}
    if named and direction == "b2a":
        assert "called input and target, which data.direction b2a contradicts" in message(root=tmp_path, **settings)
        return
    for split, names in SPLITS.items():
        data = PairedDataset.from_folder(tmp_path, split, **settings)
        assert data.layout == layout
        check(data, names, direction == "b2a")
    assert DatasetIndex.scan(DataConfig(root=str(tmp_path), **settings)).splits == list(SPLITS)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("word", ["valid", "Validation"])
def test_val_may_be_called_valid_or_validation(tmp_path, kind, word):
    paths, layout, _ = LAYOUTS[kind]
    make(tmp_path, paths, {"train": ["1"], word: ["7", "deep/9"]})
    assert DatasetIndex.scan(DataConfig(root=str(tmp_path))).splits == ["train", "val"]
    data = PairedDataset.from_folder(tmp_path, "val")
    assert data.layout == layout
    check(data, ["7", "deep/9"])
    make(tmp_path, paths, {"val": ["7"]})
    text = message(root=tmp_path)
    assert "both count as val" in text and f"/{word.lower()}" in text.lower()


@pytest.mark.parametrize("kind", WITHOUT_SPLIT)
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("direction", [None, "b2a"])
def test_layouts_without_splits(tmp_path, kind, forced, direction):
    paths, layout, named = WITHOUT_SPLIT[kind]
    names = [f"{i:02}" for i in range(30)] + ["deep/x", "deep/y"]
    make(tmp_path, paths, {"": names})
    settings = {"direction": direction, "layout": layout if forced else "auto"}
    if named and direction:
        assert "data.direction b2a contradicts" in message(root=tmp_path, **settings)
        return
    for split, wanted in (("train", False), ("val", True)):
        data = PairedDataset.from_folder(tmp_path, split, **settings)
        assert data.layout == layout
        check(data, [name for name in names if is_validation_key(name) == wanted], direction == "b2a")
    assert DatasetIndex.scan(DataConfig(root=str(tmp_path), **settings)).splits == ["train", "val"]


@pytest.mark.parametrize("kind", [*LAYOUTS, *(f"{kind}, no split" for kind in WITHOUT_SPLIT), "csv", "jsonl"])
def test_two_steps_of_training_and_a_sample_in_every_layout(tmp_path, kind):
    """And through an identity generator, every input comes back to the bit under its own name."""
    paths, layout, _ = LAYOUTS.get(kind) or WITHOUT_SPLIT.get(kind.removesuffix(", no split")) or LAYOUTS["split a"]
    root, split, want = tmp_path / "data", "val", SPLITS["val"]
    if kind.endswith("no split"):
        names = ["00", "01", "02", "03"]  # 03 falls to val
        make(root, paths, {"": names})
        want = [name for name in names if is_validation_key(name, 0.2)]
        assert len(want) == 1
    else:
        make(root, paths)
    if kind in ("csv", "jsonl"):
        layout, rows = "manifest", [(*(path.format(s=s, n=n) for path in paths), s) for s in SPLITS for n in SPLITS[s]]
        records = [dict(zip(("input", "target", "split"), row, strict=True)) for row in rows]
        lines = map(json.dumps, records) if kind == "jsonl" else ["input,target,split", *map(",".join, rows)]
        root = tmp_path / f"data/pairs.{kind}"
        root.write_text("\n".join(lines))
        want = [f"val/a/{name}" for name in want]
    weights, said = trained(root, {"data.val_fraction": 0.2, "data.image_size": 32, "data.load_size": None})
    assert f"{root}, {layout}" in said
    result = pix2pix("sample", "--weights", weights, "--split", split, "--output", "out")
    assert result.code == 0 and {path.name for path in Path("out/val").rglob("*.png")} == {
        f"{Path(n).name}.png" for n in want
    }
    config = load_generator_file(weights).config
    translator = Translator(Identity(), config, device="cpu")
    assert translate_split(translator, config, split, Path("same"))[0] == len(want)
    for name in want:
        with Image.open(f"same/val/{name}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), pixels(name.removeprefix("val/a/"))[0])


@pytest.mark.parametrize("layout", ["auto", "two-folders"])
@pytest.mark.parametrize("place", ["{0}/{{s}}", "{{s}}/{0}"])
def test_any_two_folders_by_name(tmp_path, place, layout):
    make(tmp_path, [place.format(side) + "/{n}.png" for side in ("photos", "x/maps")])
    make(tmp_path, ["{s}/a/{n}.png", "{s}/b/{n}.png"], {"train": ["other"]})  # is not asked for
    for split, names in SPLITS.items():
        check(PairedDataset.from_folder(tmp_path, split, None, None, layout, input="photos", target="x/maps"), names)
        check(PairedDataset.from_folder(tmp_path, split, input="x/maps", target="photos"), names, reverse=True)


def test_any_two_folders_without_splits_or_a_root(tmp_path, monkeypatch):
    make(tmp_path, ["here/p/{n}.png", "there/q/{n}.png"], {"": ALL})
    monkeypatch.chdir(tmp_path)
    for root, input, target in [
        (None, "here/p", "there/q"),
        (tmp_path / "here", "p", "../there/q"),
        (tmp_path, tmp_path / "here/p", "there/q"),
    ]:
        check(PairedDataset.from_folder(root, input=input, target=target, val_fraction=0), ALL)
    (tmp_path / "here/p").rename(tmp_path / "here/a")
    check(PairedDataset.from_folder("here", input="a", target="../there/q", val_fraction=0), ALL)


def test_named_folders_elsewhere_are_not_those_of_a_split(tmp_path):
    make(tmp_path, ["p/{n}.png", "q/{n}.png"], {"": ["1", "2"]})
    make(tmp_path / "root", ["p/{n}.png", "q/{n}.png"], {"": ["3"]})  # root/train/../p too
    make(tmp_path / "root", ["{s}/{n}.png"], {"train": ["4"]})
    for input, target in ((tmp_path / "p", tmp_path / "q"), ("../p", "../q")):
        data = PairedDataset.from_folder(tmp_path / "root", input=input, target=target, val_fraction=0)
        check(data, ["1", "2"])


def test_forced_pictures_side_by_side_are_without_a_couple_of_sides(tmp_path):
    make(tmp_path, ["{s}/{n}.png"], {"train": ["0", "x/1"]})
    make(tmp_path, ["{s}/a/{n}.png", "{s}/b/{n}.png"], {"train": ["1"]})
    check(PairedDataset.from_folder(tmp_path, layout="side-by-side", val_fraction=0), ["0", "x/1"])
    check(PairedDataset.from_folder(tmp_path, layout="two-folders"), ["1"])


def test_hidden_folders_hold_no_pictures(tmp_path):
    make(tmp_path, ["{s}/{n}.png"], {"train": ["0", ".thumbs/0"], ".val": ["1"]})
    check(PairedDataset.from_folder(tmp_path), ["0"])


def test_splits_may_differ_and_strange_folders_and_stray_pictures_do_not_matter(tmp_path):
    make(tmp_path, ["{s}/a/{n}.png", "{s}/b/{n}.png"], {"train": ["1"]})
    make(tmp_path, ["{s}A/{n}.png", "{s}B/{n}.png"], {"val": ["2"]})
    make(tmp_path, ["{s}/{n}.png"], {"test": ["3"]})
    save(tmp_path / "preview.png", noise(*SIZE))
    save(tmp_path / "masks/1.png", noise(*SIZE))
    for split, name in (("train", "1"), ("val", "2"), ("test", "3")):
        check(PairedDataset.from_folder(tmp_path, split), [name])


def test_links_are_followed_but_not_in_circles(tmp_path):
    make(tmp_path / "far", ["{n}.png"], {"": ["1"]})
    (tmp_path / "root/train").mkdir(parents=True)
    (tmp_path / "root/train/linked").symlink_to(tmp_path / "far")
    data = PairedDataset.from_folder(tmp_path / "root")
    assert data[0]["name"] == "linked/1"
    (tmp_path / "far/back").symlink_to(tmp_path / "root/train")
    assert "is a link to a folder that contains it" in message(root=tmp_path / "root")


@pytest.mark.parametrize("kind", [*LAYOUTS, *(f"{kind}, no split" for kind in WITHOUT_SPLIT)])
def test_each_folder_is_listed_once(tmp_path, monkeypatch, kind):
    """To train, and to sample from, a data set."""
    paths = LAYOUTS.get(kind) or WITHOUT_SPLIT[kind.removesuffix(", no split")]
    make(tmp_path, paths[0], SPLITS if kind in LAYOUTS else {"": ALL})
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(os.path.realpath(path)) or scandir(path))
    data = DataConfig(root=str(tmp_path), image_size=32, cache="off")
    opened = open_training_data(data)
    assert opened.val is not None and len(opened.train) + len(opened.val) == len(ALL) - 2 * (kind in LAYOUTS)
    assert listed and len(listed) == len({*listed})
    listed.clear()
    index = DatasetIndex.scan_at(data, str(tmp_path))
    open_split(index.data, index.evaluation_split, None, index=index)
    assert listed and len(listed) == len({*listed})


def test_the_layout_in_words(tmp_path):
    make(tmp_path / "s", ["{s}/{n}.png"])
    make(tmp_path / "t", ["{s}A/{n}.png", "{s}B/{n}.png"])
    make(tmp_path / "n", ["a/{n}.png", "b/{n}.png"], {"": ["1", "2"]})
    words = [
        str(DatasetIndex.scan(DataConfig(root=str(tmp_path / name), direction=d)).layout())
        for name in "stn"
        for d in (None, "b2a")
    ]
    by_name = "; no split val: 1 training pair held out for validation (data.val_fraction 0.1), picked by name"
    assert words == [
        "input left half, target right half; the images are twice as wide as high",
        "input right half, target left half; the images are twice as wide as high",
        "input trainA, target trainB",
        "input trainB, target trainA",
        f"input a, target b{by_name}",
        f"input b, target a{by_name}",
    ]
    data = DataConfig(root=str(tmp_path / "n"), input="b", target="a", val_fraction=0.25)
    assert str(DatasetIndex.scan(data).layout()) == f"input b, target a{by_name}".replace("0.1", "0.25")
