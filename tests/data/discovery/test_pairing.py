"""Partners on disk: by names that differ, by patterns, and images without a partner; each remedy is followed."""

import re
from pathlib import Path

import pytest
from commands import overrides, picture, pix2pix, refused
from identity import trained
from planting import look

from pix2pix.config import DataConfig, config_from_dict, load_config
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import ConfigError, DataError

SIZE = (32, 32)
CITY = ("aachen/aachen_{n}_leftImg8bit", "aachen/aachen_{n}_gtFine_labelIds", "aachen/aachen_{n}_gtFine_color")


def found(root: Path, split: str = "train", **data) -> dict[str, list[str]]:
    """The files of each pair of a split by its name, relative to the root."""
    index = DatasetIndex.scan(DataConfig(root=str(root), **({"val_fraction": 0.0} | data)))
    return {pair.name: [str(path.relative_to(root)) for path in pair.files] for pair in index.pairs(split, SIZE)}


def error(root: Path, **data) -> DataError:
    with pytest.raises(DataError) as caught:
        found(root, **data)
    assert "\n" not in str(caught.value)
    return caught.value


def make(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        picture(root / f"{name}.png" if not name.endswith(".PNG") else root / name, seed=number)
    return root


@pytest.fixture
def city(tmp_path) -> Path:
    for split in ("train", "val"):
        for number in (1, 2, 3):
            image, *labels = (name.format(n=f"{split}{number}") for name in CITY)
            make(tmp_path, f"leftImg8bit/{split}/{image}", *(f"gtFine/{split}/{name}" for name in labels))
    return tmp_path


def test_the_rule_is_in_the_plan_and_the_id_names_the_pair(tmp_path):
    make(tmp_path, "train/a/1_in", "train/a/2_in", "train/b/1_out", "train/b/2_out")
    assert found(tmp_path) == {n: [f"train/a/{n}_in.png", f"train/b/{n}_out.png"] for n in "12"}
    layout = DatasetIndex.scan(DataConfig(root=str(tmp_path))).layout()
    assert (layout.name, layout.rule) == ("two-folders", "matched by names without _in and _out")
    make(tmp_path / "c", "a/IMG_1.PNG", "a/x", "b/img_1", "b/X")
    assert found(tmp_path / "c") == {"IMG_1": ["a/IMG_1.PNG", "b/img_1.png"], "x": ["a/x.png", "b/X.png"]}


def test_two_files_of_a_pair_in_one_folder_are_not_cut_in_half(tmp_path):
    make(tmp_path, "train/1", "train/001_mask", "train/2", "train/002_mask")
    assert found(tmp_path) == {n: [f"train/{n}.png", f"train/00{n}_mask.png"] for n in "12"}
    layout = DatasetIndex.scan(DataConfig(root=str(tmp_path))).layout()
    assert (layout.name, layout.inputs, layout.target) == ("one-folder", ("train/{id}",), "train/{id}_mask")
    assert len(found(tmp_path, layout="side-by-side")) == 4
    (tmp_path / "train/2.png").unlink()
    assert error(tmp_path).code == "unmatched" and str(tmp_path / "train/002_mask.png") in str(error(tmp_path))
    assert [*found(tmp_path, unmatched="skip")] == ["1"]
    weights, said = trained(tmp_path, {"data.unmatched": "skip", "data.load_size": None, "schedule.epochs": 2})
    assert weights.exists() and "1 image without a partner skipped" in said and "only one pair" in said


def test_one_folder_with_sides_takes_the_direction(tmp_path):
    make(tmp_path, "1_A", "1_B", "2_A", "2_B")
    assert found(tmp_path, direction="b2a") == {n: [f"{n}_B.png", f"{n}_A.png"] for n in "12"}
    make(tmp_path / "m", "1", "1_mask", "2", "2_mask")
    with pytest.raises(DataError, match="b2a contradicts"):
        found(tmp_path / "m", direction="b2a")


@pytest.mark.parametrize("nested", ["", "x/"])
def test_remedies_for_ambiguous_names_can_be_followed(tmp_path, nested):
    make(tmp_path, *(f"train/{nested}{n}_{kind}" for n in "12" for kind in ("day", "night")))
    refusal = error(tmp_path)
    patterns = re.findall(r"\{split\}/[^ ,;]*", refusal.reason)
    assert refusal.code == "ambiguous" and len(patterns) == 2
    pairs = found(tmp_path, input=patterns[1], target=patterns[0])
    assert [*pairs.values()] == [[f"train/{nested}{n}_night.png", f"train/{nested}{n}_day.png"] for n in "12"]


def test_a_pattern_of_bare_ids_leaves_out_what_a_longer_pattern_names(tmp_path):
    make(tmp_path, *(f"{n}{kind}" for n in range(1, 4) for kind in ("", "_inst", "_mask")))
    refusal = error(tmp_path)
    assert refusal.code == "ambiguous" and "{id}.*, {id}_inst.*, {id}_mask.*" in refusal.reason
    for target in ("inst", "mask"):
        pairs = found(tmp_path, input="{id}.*", target=f"{{id}}_{target}.*")
        assert pairs == {f"{n}": [f"{n}.png", f"{n}_{target}.png"] for n in range(1, 4)}
    picture(tmp_path / "4.png")
    assert str(error(tmp_path, input="{id}.*", target="{id}_mask.*")).count(".png") == 1


def test_a_second_family_of_targets_is_refused_and_a_pattern_chooses(city):
    refusal = error(city, input="leftImg8bit", target="gtFine")
    assert refusal.code == "ambiguous" and "{id}_gtFine_color, {id}_gtFine_labelIds" in refusal.reason
    settings = dict(re.findall(r"data\.(input|target): '([^']*)'", refusal.reason))
    assert settings["target"] == "gtFine/{split}/**/{id}_gtFine_labelIds.*"
    for split in ("train", "val"):
        names = [f"{split}{n}" for n in (1, 2, 3)]
        assert found(city, split, **settings) == {
            f"aachen/aachen_{name}": [
                f"{folder}/{split}/{file.format(n=name)}.png"
                for folder, file in zip(("leftImg8bit", "gtFine"), CITY, strict=False)
            ]
            for name in names
        }


PATTERNS = [
    ("leftImg8bit/{split}/*/{id}_leftImg8bit.png", "gtFine/{split}/*/{id}_gtFine_color.png", "aachen_train1"),
    ("leftImg8bit/{split}/**/aachen_{id}_left*.png", "gtFine/{split}/aachen/aachen_{id}_gtFine_color.*", "train1"),
    ("{split}/{id}/{id}_in.png", "shared/{id}.png", "k1"),
    ("{split}/{id}/{id}_in.png", "absolute", "k1"),
]


@pytest.mark.parametrize(("input", "target", "first"), PATTERNS)
def test_patterns(city, input, target, first):
    make(city, "Training/k1/k1_in", "Training/k2/k2_in", "valid/k3/k3_in", "valid/k3/k4_in")
    make(city, *(f"shared/k{n}" for n in range(1, 6)))
    target = str(city / "shared/{id}.png") if target == "absolute" else target
    data = DataConfig(root=str(city), input=input, target=target)
    index = DatasetIndex.scan(data)
    assert index.splits == ["train", "val"] and index.layout().name == "patterns"
    assert index.layout().inputs == (input,)
    names = [pair.name for pair in index.pairs("train", SIZE)]
    assert names[0] == first and len(names) == (2 if first == "k1" else 3)
    assert len(index.pairs("val", SIZE)) == (1 if first == "k1" else 3)


def test_several_inputs_by_patterns_train_and_resume(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(Path("data"), *(f"{n}_{kind}" for n in range(1, 5) for kind in ("rgb", "depth", "gt")))
    settings = {"data.input": ["{id}_rgb.png", "{id}_depth.png"], "data.target": "{id}_gt.png", "data.load_size": None}
    weights, said = trained(Path("data"), settings | {"data.val_fraction": 0.1})
    assert "data, patterns: 3 pairs to train on, 1 of val" in said and "1 training pair held out" in said
    assert "input {id}_rgb.png + {id}_depth.png, target {id}_gt.png" in said
    flags = overrides({"run.device": "cpu"})
    Path("data/1_rgb.png").rename("data/9_rgb.png"), Path("data/1_depth.png").rename("data/9_depth.png")
    Path("data/1_gt.png").rename("data/9_gt.png")
    config = weights.parent / "config.yaml"
    result = pix2pix("train", "--config", config, *flags, "--set", "schedule.epochs=2", "--output", weights.parent)
    refused(result, 3, "names and sizes")


@pytest.mark.parametrize(
    ("input", "target", "code", "words"),
    [
        ("{id}_x.png", "{id}_b.png", "no-pairs", "data.input: the pattern '{id}_x.png' matches no image"),
        ("{id}_a.png", "none/{id}.png", "no-pairs", "data.target: the pattern 'none/{id}.png' matches no image"),
        ("**/*{id}_a.png", "{id}_b.png", "same-name", "data.input: the pattern '**/*{id}_a.png' gives two files one"),
        ("{id}_a.png", "**/{id}_b.png", "unmatched", "1 without a partner"),
        ("{split}/{id}_a.png", "{id}_b.png", "missing-split", "match no pairs of train; they match val"),
    ],
)
def test_patterns_that_match_nothing_or_twice(tmp_path, input, target, code, words):
    make(tmp_path, "1_a", "11_a", "1_b", "11_b", "y/1_a", "y/3_b", "val/11_a")
    refusal = error(tmp_path, input=input, target=target)
    assert (refusal.code, refusal.exit_code) == (code, 3) and words in str(refusal)


@pytest.mark.parametrize(
    ("input", "target", "words"),
    [
        ("*_a.png", "{id}.png", "data.input '*_a.png' has no {id}"),
        ("{id}.png", "{name}.png", "data.target '{name}.png' has {name}, which is unknown"),
        ("{id.png", "{id}.png", "data.input '{id.png' has a brace without its partner"),
        ("x**/{id}.png", "{id}.png", "data.input 'x**/{id}.png' has ** beside"),
        ("imgs", "m/{id}.png", "data.input 'imgs' is a folder, and data.target a pattern; write it as 'imgs/{id}.*'"),
    ],
)
def test_malformed_patterns_are_errors_of_the_config(input, target, words):
    with pytest.raises(ConfigError, match="^w: " + re.escape(words)):
        config_from_dict({"data": {"root": "x", "input": input, "target": target}}, "w")


def test_a_pattern_on_the_command_line_needs_no_quotes_of_yaml():
    flags = ["data.input={id}_a.png", "data.target=**/*{id}_b.png", "data.direction=null", "data.layout=auto"]
    data = load_config("demo", flags).data
    assert (data.input, data.target, data.has_patterns) == ("{id}_a.png", "**/*{id}_b.png", True)


def test_skipped_images_are_counted_in_the_plan_and_noted_by_check(tmp_path):
    make(tmp_path, *(f"a/{n}" for n in range(5)), *(f"b/{n}" for n in range(3)))
    refusal = error(tmp_path)
    assert refusal.code == "unmatched" and "set data.unmatched to skip" in refusal.reason
    data = DataConfig(root=str(tmp_path), unmatched="skip")
    assert DatasetIndex.scan(data).layout().unpaired == 2 and len(found(tmp_path, unmatched="skip")) == 3
    for unmatched, severity in (("skip", "note"), ("error", "error")):
        (finding,) = [one for one in look(tmp_path, unmatched=unmatched).findings if one.code == "unmatched"]
        assert (finding.severity, len(finding.items)) == (severity, 2)


def test_skip_is_refused_where_hardly_a_name_has_a_partner(tmp_path):
    make(tmp_path, "a/x1", "a/x2", "b/y3", "b/y4")
    assert error(tmp_path, unmatched="skip").code == "unmatched"
    assert "data.unmatched" not in error(tmp_path).reason
    assert look(tmp_path, unmatched="skip").fails


def test_one_pair_trains_without_validation_and_few_pairs_get_advice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(Path("one"), "a/1", "b/1")
    settings = {"data.load_size": None, "schedule.epochs": 2, "data.val_fraction": 0.1}
    said = trained(Path("one"), settings, batch_size=1)[1]
    assert "none to validate" in said and "there is only one pair" in said
    assert "one pair is few" in said
