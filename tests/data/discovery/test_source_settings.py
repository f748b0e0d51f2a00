"""The settings of where pairs are: contradictions, round trips, and data sets at other places."""

import json
import re
from pathlib import Path

import pytest
from commands import SETTINGS, overrides, picture, pix2pix, refused
from layouts import SIZE, make

from pix2pix.config import DataConfig, config_from_dict, dump_config, load_config
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import ConfigError


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
