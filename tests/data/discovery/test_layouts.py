"""Every layout, found by itself and forced, down to the pixels; and what can be read in no way or in several."""

import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from commands import SETTINGS, overrides, picture, pix2pix, refused
from identity import Identity, trained
from making import noise, save, save_halves
from PIL import Image

from pix2pix.config import DataConfig, config_from_dict, dump_config, load_config
from pix2pix.data import PairedDataset
from pix2pix.data.dataset import open_split
from pix2pix.data.index import DatasetIndex
from pix2pix.data.training_data import open_training_data
from pix2pix.errors import ConfigError, DataError
from pix2pix.inference.files import translate_split
from pix2pix.inference.translator import Translator
from pix2pix.weights import load_generator_file

SIZE = (4, 6)
SPLITS = {"train": ["0", "deep/er/1", "x.y"], "val": ["7"], "test": ["8", "deep/9"]}
ALL = [name for names in SPLITS.values() for name in names]

# Where A and B of a pair lie, with {s} for the split and {n} for the name; one path is a picture side by side. Then the
# layout's name, and whether the folders say which is the input.
LAYOUTS = {
    "side-by-side": (["{s}/{n}.png"], "side-by-side", False),
    "split a": (["{s}/a/{n}.png", "{s}/b/{n}.png"], "two-folders", False),
    "split A": (["{s}/A/{n}.bmp", "{s}/B/{n}.PNG"], "two-folders", False),
    "A split": (["A/{s}/{n}.png", "B/{s}/{n}.png"], "two-folders", False),
    "a Split": (["a/{S}/{n}.png", "b/{S}/{n}.png"], "two-folders", False),
    "splitA": (["{s}A/{n}.png", "{s}B/{n}.png"], "two-folders", False),
    "split_a": (["{s}a/{n}.png", "{S}b/{n}.png"], "two-folders", False),
    "split input": (["{s}/input/{n}.png", "{s}/target/{n}.png"], "two-folders", True),
    "split Input": (["{s}/Input/{n}.png", "{s}/TARGET/{n}.png"], "two-folders", True),
    "input split": (["input/{s}/{n}.png", "target/{s}/{n}.png"], "two-folders", True),
}
WITHOUT_SPLIT = {
    "side-by-side": (["{n}.png"], "side-by-side", False),
    "a": (["a/{n}.png", "b/{n}.png"], "two-folders", False),
    "A": (["A/{n}.png", "B/{n}.png"], "two-folders", False),
    "input": (["input/{n}.png", "target/{n}.png"], "two-folders", True),
}


def pixels(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A and B of a pair."""
    seed = int(hashlib.md5(name.encode()).hexdigest()[:6], 16)
    return noise(*SIZE, seed), noise(*SIZE, seed + 1)


def make(root: Path, paths: list[str], names: dict[str, list[str]] = SPLITS) -> Path:
    for split, those in names.items():
        for name in those:
            files = [root / path.format(s=split, S=split.capitalize(), n=name) for path in paths]
            if len(files) == 1:
                save_halves(files[0], *pixels(name))
            else:
                for file, side in zip(files, pixels(name), strict=True):
                    save(file, side)
    return root


def check(data: PairedDataset, names: list[str], reverse: bool = False) -> None:
    """Exactly these pairs, in this order, the right way round."""
    assert [item["name"] for item in (data[i] for i in range(len(data)))] == sorted(names)
    for item in (data[i] for i in range(len(data))):
        a, b = pixels(item["name"])
        for side, want in zip(("input", "target"), (b, a) if reverse else (a, b), strict=True):
            np.testing.assert_array_equal(item[side].permute(1, 2, 0).numpy(), want)


def is_validation_key(name: str, fraction: float = 0.1) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) < fraction * 2**256


def message(**settings) -> str:
    """The one line with which finding the training pairs is refused."""
    data = DataConfig(**{key: str(value) if isinstance(value, Path) else value for key, value in settings.items()})
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(data).pairs("train", SIZE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Every layout


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


# Splits by name

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


# What is refused

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
        ("", {"layout": "manifest"}, "root: is not a manifest and holds none, and data.layout"),
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


# The config


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"input": "p"}, "data.input names a folder and data.target none"),
        ({"root": "x", "target": "p"}, "data.target names a folder and data.input none"),
        ({"input": "p", "target": "q", "direction": "a2b"}, "data.direction a2b beside data.input and data.target"),
        ({"manifest": "m.csv", "direction": "b2a"}, "data.direction b2a beside data.manifest, which say"),
        ({"manifest": "m.csv", "input": "p", "target": "q"}, "data.manifest lists the pairs already"),
        ({"input": "p", "target": "q", "layout": "side-by-side"}, "data.layout side-by-side does not go with data.in"),
        ({"manifest": "m.csv", "layout": "two-folders"}, "data.layout two-folders does not go with data.manifest"),
        ({"root": "x", "val_fraction": 1}, "data.val_fraction is 1, but must be a number of at least 0 and below 1"),
        (
            {"root": "x", "input": "", "target": "q"},
            "data.input is '', but must be text or a list of at least 1, each text or null",
        ),
    ],
)
def test_settings_that_contradict_each_other(data, words):
    with pytest.raises(ConfigError, match="^w: " + re.escape(words)) as caught:
        config_from_dict({"data": data}, "w")
    assert "\n" not in str(caught.value)


def test_a_resolved_config_is_read_back_though_it_names_every_key(tmp_path):
    for data in (
        {"input": "p", "target": "q"},
        {"manifest": "m.jsonl"},
        {"root": "x"},
        {"root": "x", "direction": "a2b"},
    ):
        config = config_from_dict({"data": data, "run": {"output": "o"}}, "w")
        (tmp_path / "c.yaml").write_text(dump_config(config))
        assert load_config(tmp_path / "c.yaml") == config
    with pytest.raises(ConfigError, match=r"--set data.input=p: data.direction b2a beside data.input and data.target"):
        load_config("facades_paper", ["data.input=p", "data.target=q"])
    assert load_config("facades_paper", ["data.input=p", "data.target=q", "data.direction=null"]).data.input == "p"


def test_drawn_pairs_without_a_direction_are_a2b():
    datas = [DataConfig(layout="synthetic", direction=direction) for direction in (None, "a2b")]
    drawn = [DatasetIndex.scan(data).pairs("train", SIZE)[0] for data in datas]
    assert drawn[0] == drawn[1]


# The plan and the commands


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


def test_training_and_sampling_by_name_and_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(["1", "2", "deep/38", "9"]):
        picture(f"mine/photos/{name}.png", seed=index), picture(f"mine/maps/{name}.png", seed=9 + index)
        picture(f"other/input/{name}.png", seed=index), picture(f"other/target/{name}.png", seed=9 + index)
        picture(f"third/test/{name}.png", 32, 64, seed=index)
    settings = SETTINGS | {
        "schedule.epochs": 1,
        "data.direction": None,
        "data.layout": "auto",
        "data.input": "photos",
        "data.target": "maps",
    }
    command = ("train", "--config", "demo", *overrides(settings), "--data", "mine", "--output", "run")
    result = pix2pix(*command)
    assert result.code == 0, result
    assert "mine, two-folders: 3 pairs to train on, 1 of val to validate" in result.out
    assert "layout        input photos, target maps; no split val" in result.out
    assert "is finished" in pix2pix(*command).out  # the folder's config is the same
    sample = ("sample", "--weights", "run/gen.pt", "--output", "out")
    assert "1 translations in out/val" in pix2pix(*sample).out and Path("out/val/9.png").exists()
    assert "3 translations in out/train" in pix2pix(*sample, "--split", "train").out
    assert Path("out/train/deep/38.png").exists()
    assert "1 translations in out/val" in pix2pix(*sample, "--data", "other").out
    assert "4 translations in out/test" in pix2pix(*sample, "--data", "third").out
    Path("mine").rename("gone")
    refused(pix2pix(*sample), 3, "run/gen.pt")
    assert "1 translations in out/val" in pix2pix(*sample, "--data", "gone").out  # photos and maps again


def test_the_settings_at_another_place(tmp_path):
    make(tmp_path / "io", ["{s}/input/{n}.png", "{s}/target/{n}.png"])
    make(tmp_path / "ab", ["{s}/a/{n}.png", "{s}/b/{n}.png"])
    (tmp_path / "m.jsonl").write_text(json.dumps({"input": "ab/val/a/7.png", "target": "ab/val/b/7.png"}))
    b2a, named = DataConfig(root="x", direction="b2a"), DataConfig(root="x", input="a", target="b")
    for data, root, want in [
        (b2a, "io", (None, None)),
        (b2a, "ab", ("b2a", None)),
        (b2a, "m.jsonl", (None, None)),
        (named, "ab", (None, "a")),
        (named, "io", (None, None)),
    ]:
        index = DatasetIndex.scan_at(data, str(tmp_path / root))
        moved = index.data
        assert (moved.direction, moved.input, moved.root, moved.layout) == (*want, str(tmp_path / root), "auto")
        index.pairs("train", SIZE)
