"""What the README says is what there is."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from pix2pix.arguments import parser
from pix2pix.config import load_config, shipped_configs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(
    r"^pix2pix .*$|(?<=&& \.venv/bin/)pix2pix [^&\n]*|(?<=^\.venv/bin/)pix2pix .*$", README, re.MULTILINE
)


def test_the_table_of_keys_is_the_schemas():
    assert runpy.run_path(str(ROOT / "scripts" / "config_table.py"))["table"]() in README


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command):
    words = shlex.split(command, comments=True)
    args = parser().parse_args(words[1:])
    if args.verb == "train" and not args.config.endswith(".yaml"):
        load_config(args.config, args.set)


def test_commands_of_every_verb_are_found():
    assert {command.split()[1] for command in COMMANDS} >= {"train", "check", "sample", "download", "configs"}


def test_yaml_is_a_config_that_is_taken(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    found = []
    for block in blocks:
        (tmp_path / "c.yaml").write_text(block)
        found.append(load_config(tmp_path / "c.yaml", ["data.root=x"]).data)
    assert {data.augment.rotation for data in found} == {0, 5}
    assert {data.input_format.kind for data in found} == {"image", "labels"}


def test_every_shipped_config_is_named():
    assert [name for name in shipped_configs() if f"`{name}`" not in README] == []


def test_ci_runs_the_readmes_test_command():
    pattern = re.search(r"grep -m 1 -E '(.*)' README", (ROOT / ".ci" / "run").read_text())[1]
    lines = [line for line in README.splitlines() if re.search(pattern, line)]
    assert len(lines) == 1
    assert "pip install" in lines[0]


def test_pictures_are_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).stat().st_size < 500_000
