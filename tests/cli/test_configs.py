"""`pix2pix configs`."""

import json
from pathlib import Path

from commands import pix2pix, refused

from pix2pix.config import shipped_configs


def test_configs_list_names_every_shipped_config():
    lines = pix2pix("configs", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_configs()) and len(lines) == 10
    assert all(len(line.split()) > 4 for line in lines)  # and says what it is


def test_configs_show_and_copy_give_the_file_itself_and_copy_overwrites_nothing():
    text = shipped_configs()["facades"].read_text(encoding="utf-8")
    assert pix2pix("configs", "show", "facades").out == text
    assert "--config ./facades.yaml" in pix2pix("configs", "copy", "facades").out
    assert pix2pix("configs", "copy", "facades", "--output", "mine/of.yaml").code == 4  # it makes no folder
    assert Path("facades.yaml").read_text(encoding="utf-8") == text
    Path("facades.yaml").write_text("mine")
    refused(pix2pix("configs", "copy", "facades"), 4, "facades.yaml: already exists", "--output")
    assert Path("facades.yaml").read_text() == "mine"
    refused(pix2pix("configs", "show", "facade"), 2, "did you mean 'facades'?")


def test_configs_schema_is_json_for_editors():
    schema = json.loads(pix2pix("configs", "schema").out)
    assert list(schema["properties"]) == ["data", "model", "loss", "optimizer", "schedule", "run"]
