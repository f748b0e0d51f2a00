"""What YAML means in a config: scalars that YAML 1.1 reads otherwise, and what is refused."""

import pytest
from malformed_configs import REFUSED, SCALARS

from pix2pix.config import load_config
from pix2pix.config.strict_yaml import parse
from pix2pix.errors import ConfigError


@pytest.mark.parametrize("text", SCALARS)
def test_scalars_are_read_as_yaml_1_2_has_them(text):
    value = parse(text.encode()).value
    assert value == SCALARS[text] and type(value) is type(SCALARS[text])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    REFUSED,
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
