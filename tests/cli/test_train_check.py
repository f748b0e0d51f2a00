"""What `pix2pix train` says about its data before the first step."""

from pathlib import Path

import pytest
from commands import SETTINGS, contents, overrides, pairs, picture, pix2pix

from pix2pix.check import sample
from pix2pix.check.findings import finding
from pix2pix.errors import DataError

QUICK = {**SETTINGS, "data.load_size": 32, "schedule.epochs": 1}
TRAIN = ("train", "--config", "demo", *overrides(QUICK), "--data", "mine", "--output", "run")


def test_warnings_are_printed_once_with_the_command_that_shows_more():
    pairs("mine", "train", "val")
    first = pix2pix(*TRAIN)
    assert first.code == 0 and len(first.lines) == 2
    assert first.lines[0].startswith("warning [leak] 3 images") and "mine/val/0.png" in first.lines[0]
    assert "6 of 6 pairs" in first.lines[1] and "pix2pix check --config demo --data mine" in first.lines[1]
    again = pix2pix(*TRAIN, "--set", "schedule.epochs=2")  # resumes
    assert (again.code, again.err) == (0, "")
    assert "[leak]" in pix2pix(*TRAIN, "--fresh").err


def test_an_error_in_the_sample_stops_before_anything_is_written():
    pairs("mine", "train")
    picture("mine/train/broken.png").write_bytes(b"no picture")
    before = contents(Path())
    result = pix2pix(*TRAIN)
    assert result.code == 3 and len(result.lines) == 1 and "mine/train/broken.png" in result.err
    assert contents(Path()) == before
    skipping = pix2pix(*TRAIN, "--set", "data.skip_broken=true")
    assert skipping.code == 0 and skipping.err == "" and "broken.png" in skipping.out


def test_an_error_that_only_check_knows_stops_training(monkeypatch):
    pairs("mine", "train")
    wrong = [finding("halves", "3 photographs", "set data.layout", severity="error")]
    monkeypatch.setattr(sample, "pair_findings", lambda *_: wrong)
    result = pix2pix(*TRAIN)
    assert result.code == DataError.exit_code and not Path("run").exists()
    assert "3 photographs; set data.layout; pix2pix check" in result.err


@pytest.mark.parametrize("settings", [(), ("--set", "data.val_fraction=0")])
def test_a_clean_data_set_says_nothing(settings):
    pairs("mine", "train")
    assert pix2pix(*TRAIN, *settings).err == ""
