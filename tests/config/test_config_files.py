"""Configs: where they are found, that they are written as they were read, and what follows from them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pix2pix.config import (
    PatchGANConfig,
    PixelConfig,
    UNetConfig,
    config_difference,
    config_from_dict,
    config_schema,
    dump_config,
    load_config,
    locate_config,
    patch_map_size,
    shipped_configs,
    unet_depth,
)
from pix2pix.errors import ConfigError


@pytest.mark.parametrize(
    ("crop", "depth"),
    [((256, 256), 8), ((512, 512), 9), ((128, 128), 7), ((512, 256), 8), ((288, 256), 5), ((32, 96), 5)],
)
def test_unet_depth_is_as_many_levels_as_fit(crop, depth):
    assert unet_depth(UNetConfig(), crop) == depth
    assert unet_depth(UNetConfig(depth=3), crop) == 3


def test_patch_map_size_of_the_papers_and_the_tutorials_discriminator():
    assert patch_map_size(PatchGANConfig(), (256, 512)) == (30, 62)
    assert patch_map_size(PatchGANConfig(kernel_size=3, n_layers=4, stride1_layer=False), (256, 256)) == (16, 16)
    assert patch_map_size(PatchGANConfig(kernel_size=3, stride1_layer=False), (65, 66)) == (9, 9)
    assert patch_map_size(PatchGANConfig(), (65, 80)) == (6, 8)
    assert patch_map_size(PixelConfig(), (256, 128)) == (256, 128)


def test_where_a_config_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("data: {layout: synthetic}")
    assert locate_config("maps") == locate_config("maps.yaml") == (shipped_configs()["maps"], "shipped config")
    assert locate_config("c.yaml") == (Path("c.yaml"), "file")
    Path("maps").mkdir()
    assert locate_config("maps")[1] == "shipped config"
    Path("maps.yaml").write_text("data: {layout: synthetic}")
    assert locate_config("maps.yaml") == (Path("maps.yaml"), "file")
    assert load_config("./maps.yaml").run.output == "runs/maps"
    assert load_config("c.yaml", ["run.output=there"]).run.output == "there"
    for source, words in [
        ("facade", "did you mean 'facades'? `pix2pix configs list`"),
        ("./maps", "is a folder"),
        ("sub/maps.yaml", "no such file"),
        ("", "no file and no shipped config"),
        (Path("x") / "y.yaml", "x/y.yaml: no such file"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(words)):
            locate_config(source)


def test_dumps_read_back_as_they_were(tmp_path):
    def again(config):
        (tmp_path / "again.yaml").write_text(dump_config(config), encoding="utf-8")
        return load_config(tmp_path / "again.yaml")

    odd = ["010", "2e-4", "no", "1:30", "~", "a: b", "é\U0001f600", "x" * 300, "l1\nl2", " ", "0o7", "#"]
    for name in shipped_configs():
        config = load_config(name, ["optimizer.lr=2e-5", "data.image_size=[256, 512]", "data.load_size=null"])
        assert again(config) == config == config_from_dict(config.model_dump(), "w")
    for root in odd:
        config = config_from_dict({"data": {"root": root}, "run": {"output": "o"}}, "w")
        assert again(config).data.root == root
    text = dump_config(load_config("facades_paper"))
    assert "\n    dropout_up: auto\n" in text and "\n  betas: [0.5, 0.999]\n" in text and "lr: 0.0002" in text


def test_a_stored_dictionary_is_checked_alike_and_left_alone():
    data = {"data": {"root": "x"}, "loss": {"lambda_L1": 3}, "schedule": {"epochs": "9"}, 5: {}}
    with pytest.raises(ConfigError) as caught:
        config_from_dict(data, "gen.pt")
    assert str(caught.value).split("\n")[1:] == [
        "gen.pt: schedule.epochs is '9', but must be a whole number of at least 1",
        "gen.pt: unknown key '5'; the keys at the top level are data, model, loss, optimizer, schedule, run",
    ]
    assert data == {"data": {"root": "x"}, "loss": {"lambda_L1": 3}, "schedule": {"epochs": "9"}, 5: {}}
    with pytest.raises(ConfigError, match=r"^gen.pt: the config is \[\], but must be a mapping of keys$"):
        config_from_dict([], "gen.pt")


def test_difference_of_two_configs():
    old = load_config("facades_paper")
    assert config_difference(old, old) == []
    new = load_config("facades_paper", ["optimizer.lr=1e-3", "model.discriminator.name=pixel"])
    assert config_difference(old, new) == [
        ("model.discriminator.name", "patchgan", "pixel"),
        ("model.discriminator.kernel_size", 4, None),
        ("model.discriminator.n_layers", 3, None),
        ("model.discriminator.stride1_layer", True, None),
        ("optimizer.lr", 2e-4, 1e-3),
    ]


def test_the_json_schema_is_closed():
    schema = config_schema()
    assert list(schema["properties"]) == ["data", "model", "loss", "optimizer", "schedule", "run"]
    parts = schema["$defs"].values()
    assert len(parts) > 10 and all(part["additionalProperties"] is False for part in parts)


def test_importing_configs_imports_no_torch():
    code = "import sys, pix2pix.config; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
