"""The fields of a weights file that somebody else has made."""

import copy
import math

import pytest
from pydantic import ValidationError

from pix2pix.config import config_from_dict, load_config
from pix2pix.data.forms import Form, Forms
from pix2pix.errors import ConfigError

LABELS = Form("labels", 1, "uint8", (0.0, 1.0), 2, ((0, 0, 0), (255, 0, 9)), True, ".png")


@pytest.mark.parametrize(
    "forms",
    [
        Forms(),
        Forms((LABELS, Form("mask", 1, "uint8", (0.0, 1.0))), Form("image", 4, "uint8", alpha=True)),
        Forms((Form("image", 12, "float32", (-3.5, 1e6), suffix=".npy"),), Form("image", 1, "uint16", (0.0, 1023.0))),
        Forms(
            (Form("labels", 1, "uint16", (0.0, 1.0), 300, suffix=".tif"),), Form("image", 3, "uint16", (0.0, 65535.0))
        ),
    ],
)
def test_forms_are_read_as_they_were_written(forms):
    assert Forms.from_dict(forms.to_dict()) == forms


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("suffix", "/../../victim.png", "Input should be '.png'"),
        ("suffix", ".jpg", "Input should be '.png'"),
        ("suffix", ".bmp", "Value error, a .bmp file cannot hold 4 channels of uint8"),
        ("kind", "video", "Input should be 'image'"),
        ("kind", "labels", "labels and masks have one channel"),
        ("channels", 0, "greater than or equal to 1"),
        ("channels", 4.0, "valid integer"),
        ("dtype", "object", "Input should be 'uint8'"),
        ("range", [0, math.nan], "greater than or equal|finite"),
        ("range", [0, math.inf], "less than or equal|finite"),
        ("range", [7, 7], "7 to 7 is no range of uint8 pixels"),
        ("range", [0, 300], "0 to 300 is no range of uint8 pixels"),
        ("classes", 3, "an image has neither classes nor a palette"),
        ("palette", [[0, 0, 0]] * 5000, "at most 4096"),
        ("snap", 1, "valid boolean"),
        ("snap", True, "no palette to snap to"),
        ("more", 1, "not permitted"),
    ],
)
def test_forms_with_a_wrong_field_are_refused(field, value, words):
    values = Forms(target=Form(channels=4)).to_dict()
    values["target"][field] = value
    with pytest.raises(ValidationError, match=words):
        Forms.from_dict(values)


def test_too_many_inputs_are_refused():
    values = Forms().to_dict()
    for count, fine in ((0, False), (64, True), (65, False)):
        many = copy.deepcopy(values) | {"input": values["input"] * count}
        if fine:
            assert len(Forms.from_dict(many).input) == count
        else:
            with pytest.raises(ValidationError, match="input"):
                Forms.from_dict(many)


def test_of_many_unknown_keys_twenty_are_explained():
    with pytest.raises(ConfigError) as error:
        config_from_dict({"data": {f"key{number}": 1 for number in range(300_000)}}, "gen.pt")
    lines = str(error.value).splitlines()
    assert sum("unknown key 'key" in line for line in lines) == 20
    assert lines[-1] == "gen.pt: and 299980 more unknown keys"


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("".join(f"key{number}: 1\n" for number in range(200_000)), "larger than 1,048,576 bytes"),
        ("".join(f"k{number}:\n" for number in range(30_000)), ":25000: has more than 50,000 keys and values"),
        ("data: [" + "1," * 100_000 + "1]", ":1: has more than 50,000 keys and values"),
    ],
)
def test_a_huge_config_file_is_refused(tmp_path, text, words):
    (tmp_path / "huge.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(tmp_path / "huge.yaml")
