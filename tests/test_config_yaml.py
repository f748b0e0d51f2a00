"""What YAML means in a config: scalars that YAML 1.1 reads otherwise, and what is refused."""

import math

import pytest

from pix2pix.config import load_config
from pix2pix.config.strict_yaml import parse
from pix2pix.errors import ConfigError

SCALARS = {
    "2e-4": 2e-4, "1E3": 1000.0, ".5": 0.5, "1.": 1.0, "+7": 7, "-0": 0, "12e03": 12000.0, "1e": "1e",
    "no": "no", "yes": "yes", "on": "on", "off": "off", "y": "y", "NO": "NO", "True": True, "FALSE": False,
    "tRUE": "tRUE", "010": 10, "0o10": 8, "0x1F": 31, "0o8": "0o8", "0b1": "0b1", "1:30": "1:30", "1_000": "1_000",
    "2001-01-01": "2001-01-01", "~": None, "Null": None, "nULL": "nULL", '""': "", '"2e-4"': "2e-4", "'5'": "5",
    ".inf": math.inf, "-.INF": -math.inf, "inf": "inf", "nan": "nan", "=": "=", "1.2.3": "1.2.3", "- 1": [1],
    "[1, no, 2e-4]": [1, "no", 2e-4], "{k: 010}": {"k": 10}, '"\\ud83d\\ude00"': "\U0001f600", "a b": "a b",
}  # fmt: skip


@pytest.mark.parametrize("text", SCALARS)
def test_scalars_are_read_as_yaml_1_2_has_them(text):
    value = parse(text.encode()).value
    assert value == SCALARS[text] and type(value) is type(SCALARS[text])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "is empty"),
        ("# only a comment\n", 1, "is empty"),
        ("- 1\n", 1, "[1] is not a config; the top level is a mapping"),
        ("word\n", 1, "'word' is not a config"),
        ("data:\n\troot: x\n", 2, "a tab is not allowed here; use spaces"),
        (b"\xef\xbb\xbfdata: {}\n", 1, "byte order mark"),
        ("data: {}\n".encode("utf-16"), 1, "is not UTF-8"),
        (b"data:\n  root: caf\xe9\n", 2, "is not UTF-8"),
        ("data:\n  root: x\n  flip: true\n  root: y\n", 4, "duplicate key 'root'; it is already set in line 2"),
        ("loss: {}\ndata: {}\nloss: {}\n", 3, "duplicate key 'loss'; it is already set in line 1"),
        ("data:\n  root: &r x\n", 2, "anchor &r is not allowed"),
        ("data:\n  root: x\nloss:\n  lambda_l1: *r\n", 4, "alias *r is not allowed"),
        ("data:\n  root: !!str 5\n", 2, "tag tag:yaml.org,2002:str is not allowed"),
        ("data:\n  root: !!python/object/apply:os.system [ls]\n", 2, "is not allowed"),
        ("data: !x {}\n", 1, "tag !x is not allowed"),
        ("data: {}\n---\nloss: {}\n", 2, "a second document begins here"),
        ("data: [1, 2\n", 2, "not YAML"),
        ("data: {root: 'x\n", 2, "not YAML"),
        ("data:\n  root: a\x07\n", 2, "control character '\\x07' is not allowed"),
        ("data:\n  1: x\n", 2, "1 cannot be a key"),
        ("? [a]\n: 1\n", 1, "a list or mapping cannot be a key"),
        ("run:\n  seed: " + "9" * 5000, 2, "a number of 5000 characters is too long"),
        ('data: {root: "\\U00110000"}', 1, "beyond the last character"),
        ("[" * 3000, 1, "nested too deeply"),
        ("<<: {}\ndata: {root: x}", 1, "unknown key '<<'"),
    ],
)
def test_what_yaml_allows_and_a_config_does_not(tmp_path, text, line, words):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value).removeprefix(f"{path}:{line}: ")
    assert message != str(caught.value) and words in message and "\n" not in message and len(message) < 250


def test_every_path_keeps_its_line():
    lines = parse(b"a:\n  b: 1\n\n  c: [x,\n    y]\nd: {e: 2}\n").lines
    assert lines == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 4,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("d",): 6,
        ("d", "e"): 6,
    }
