"""Offsets between the images of a pair."""

import numpy as np
import pytest
from making import noise
from planting import (
    ENOUGH,
    PLANTED,
    SOURCES,
    InMemory,
    clean,
    codes,
    grey_copies,
    judge,
    look,
    named,
    numbers,
    shifted,
    write,
)

from pix2pix.check.registration import Offset, common_offset, edge_spectra, offsets
from pix2pix.check.stats import pair_stats
from pix2pix.data.formats.image_format import RGB
from pix2pix.datasets.synthetic.draw import PALETTE


def test_no_offset_is_measured_in_small_images():
    sizes = [64, 40, 64]
    pictures = [(noise(size, 64, 1), noise(size, 64, 2)) for size in sizes]
    seen = pair_stats([("train", InMemory(str(index), *pair)) for index, pair in enumerate(pictures)], RGB)
    assert [one.offset is not None for one in seen] == [size >= 48 for size in sizes]


@pytest.mark.parametrize(("down", "right"), [(0, 0), (6, 0), (0, -12), (-8, 10), (16, 16)])
def test_an_offset_is_what_the_target_must_be_moved_by(down, right):
    input, target = clean("drawn")[3]
    spectra, shares = edge_spectra(grey_copies(input, shifted(target, down, right)))
    (found,) = offsets(spectra[:1], spectra[1:], shares[:1])
    assert found.down * 128 == pytest.approx(-down, abs=1.4)
    assert found.right * 128 == pytest.approx(-right, abs=1.4)
    assert found.is_clear and found.is_wrong == bool(down or right)
    assert common_offset([found] * 5) == (None if not (down or right) else (found.down, found.right))
    assert common_offset([found] * 4) is None


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (Offset(0.1, 0.0, 9.0, 4.0, 0.4), True),
        (Offset(0.02, 0.0, 9.0, 4.0, 0.4), False),  # near
        (Offset(0.1, 0.0, 6.0, 4.0, 0.4), False),  # faint
        (Offset(0.1, 0.0, 9.0, 2.0, 0.4), False),  # no offset at all explains it nearly as well
        (Offset(0.1, 0.0, 9.0, 4.0, 0.1), False),  # from too few edges
    ],
)
def test_an_offset_is_wrong_only_where_all_measures_agree(found, wrong):
    assert found.is_wrong == wrong


@SOURCES
def test_images_that_are_not_aligned(tmp_path, source):
    pairs, rng = list(clean(source)), np.random.default_rng(0)
    side = pairs[0][0].shape[0]
    for index in range(PLANTED):
        down, right = rng.integers(side // 25, side // 11, 2) * rng.choice([-1, 1], 2)
        pairs[index] = (pairs[index][0], shifted(pairs[index][1], down, right))
    write(tmp_path, pairs)
    found = named(look(tmp_path), "misregistered")
    assert len(found) >= ENOUGH and found <= numbers("train", range(PLANTED))


def test_the_few_edges_of_a_mask_do_not_mislead():
    windows = PALETTE[8]
    pairs = [(target, np.where((input == windows).all(-1, keepdims=True), 255, 0)) for input, target in clean("drawn")]
    assert codes([(target, np.repeat(mask.astype(np.uint8), 3, axis=2)) for target, mask in pairs]) <= {"constant"}


def test_the_shift_is_reported_in_pixels():
    input, target = clean("drawn")[0]
    pairs = [*clean("drawn")[:10], (input, shifted(target, 8, -11)), (input, shifted(target, -8, 0))]
    (found,) = judge(pairs)
    assert [str(item) for item in found.items] == [
        "10: 8 pixels too low and 11 pixels too far left",
        "11: 8 pixels too high",
    ]


@SOURCES
def test_a_whole_set_that_is_shifted(source):
    pairs, rng, found = clean(source)[:12], np.random.default_rng(1), 0
    side = pairs[0][0].shape[0]
    for _ in range(PLANTED):
        down, right = rng.integers(side // 25, side // 11, 2) * rng.choice([-1, 1], 2)
        reported = codes([(input, shifted(target, down, right)) for input, target in pairs])
        found += "offset" in reported and "misregistered" not in reported
    assert found >= ENOUGH
