"""The check at the start of `train`: a bounded sample, the errors of training itself, and no notes."""

import pytest
from commands import pairs, picture

from pix2pix.check import check, check_sample
from pix2pix.config import config_from_dict
from pix2pix.errors import DataError


def _data(**settings):
    return config_from_dict({"data": {"root": "mine", "image_size": 32, **settings}}, "test").data


def test_a_sample_is_spread_over_both_splits_and_bounded():
    pairs("mine", "train", count=20)
    pairs("mine", "val", count=4)
    report = check_sample(_data(), size=12)
    assert (report.checked, report.pairs) == (12, 24)
    assert {finding.code for finding in report.findings} == {"leak"}  # the two splits hold the same noise


def test_a_small_data_set_is_checked_like_check_does():
    pairs("mine", "train", "val")
    data = _data()
    whole = check(config_from_dict({"data": data.model_dump()}, "test")).findings
    assert check_sample(data).findings == [finding for finding in whole if finding.severity != "note"]
    assert [(finding.code, finding.count) for finding in check_sample(data).findings] == [("leak", 3)]


def test_a_broken_file_is_the_error_of_training_unless_broken_pairs_are_skipped():
    pairs("mine", "train")
    picture("mine/train/broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        check_sample(_data(val_fraction=0))
    assert str(caught.value.path) == "mine/train/broken.png" and caught.value.remedy
    assert check_sample(_data(val_fraction=0, skip_broken=True)).findings == []


def test_drawn_pairs_are_not_checked():
    assert check_sample(_data(root=None, layout="synthetic")).checked == 0
