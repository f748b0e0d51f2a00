"""Partners by their names alone: every rule, what no rule may pair, and random names in which partners are planted."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pix2pix.data.discovery.matching import Ambiguity, Match, match_sides
from pix2pix.data.discovery.one_folder import OneFolderMatch, match_one_folder

# The names on each side, in the order of their partners, and the ids of the pairs.
PAIRED = {
    "same name": ("1 2", "1 2", "1 2"),
    "capitals": ("IMG_1 b", "img_1 B", "IMG_1 b"),
    "zeros": ("1 2 10", "001 002 010", "1 2 10"),
    "suffixes": ("1_in 2_in", "1_out 2_out", "1 2"),
    "dashes": ("1-in 10-in", "1-out 10-out", "1 10"),
    "one suffix": ("cat car", "cat_mask car_mask", "cat car"),
    "prefixes": ("photo_10 photo_11", "label_10 label_11", "10 11"),
    "prefixes of words": ("photo_cat photo_car", "label_cat label_car", "cat car"),
    "inside": ("img_1 img_2", "img_mask_1 img_mask_2", "img_1 img_2"),
    "street scenes": ("c/x_0_leftImg8bit c/y_1_leftImg8bit", "c/x_0_gtFine_ids c/y_1_gtFine_ids", "c/x_0 c/y_1"),
    "retinas": ("21_training 22_training", "21_manual1 22_manual1", "21 22"),
    "number": ("21_training_jo 22_training_may", "21_manual1_al 22_manual1_pia", "21 22"),
    "affixes, zeros and capitals": ("a_1_in a_2_in", "A_01_OUT A_02_OUT", "1 2"),
    "single": ("1_in", "1_out", "1"),
}  # fmt: skip
ONE_FOLDER = {
    "mask": ("1 2", "1_mask 2_mask", True),
    "sides": ("1_A 2_A", "1_B 2_B", False),
    "no separator": ("1A 2A", "1B 2B", False),
    "prefixes": ("photo_1 photo_2", "label_1 label_2", True),
    "zeros": ("1 2", "001_seg 002_seg", True),
    "street scenes": ("x_0_leftImg8bit y_1_leftImg8bit", "x_0_gtFine_labelIds y_1_gtFine_labelIds", True),
    "one word known": ("21_training 22_training", "21_manual1 22_manual1", True),
    "folders": ("d/1 e/1", "d/1_gt e/1_gt", True),
}


def matched(*sides: str) -> Match:
    match = match_sides([side.split() for side in sides])
    assert isinstance(match, Match), match
    return match


@pytest.mark.parametrize("kind", PAIRED)
def test_partners_are_found_by_every_rule(kind):
    one, other, ids = PAIRED[kind]
    match = matched(one, other)
    assert match.is_complete
    assert match.pairs == dict(zip(ids.split(), zip(one.split(), other.split(), strict=True), strict=True))
    back = matched(other, one)
    assert {*back.pairs.values()} == {pair[::-1] for pair in match.pairs.values()} and back.is_complete
    third = match_sides([one.split(), other.split(), one.split()])
    assert isinstance(third, Match) and [*third.pairs.values()] == [(a, b, a) for a, b in match.pairs.values()]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "2"),
        ("img_10 img_11", "lab_0 lab_1"),  # no id ends within a number
        ("img_car img_cat", "lab_r lab_t"),  # nor within a word
        ("1_1 1_2", "1_1_x 2_1_x"),  # a number that all have is no affix of one side alone
        ("1_5 2_6", "1_9 2_8"),  # the first numbers agree, and the second do not
        ("cat1 dog2 cow3", "cow1 fox2 cat3"),  # the numbers agree, and the words do not
        ("x/1 x/2", "y/1 y/2"),
    ],
)
def test_names_that_are_no_partners_stay_unpaired(one, other):
    match = matched(one, other)
    assert not match.pairs and match.unpaired == (tuple(one.split()), tuple(other.split()))


@pytest.mark.parametrize(
    ("one", "other", "candidates", "patterns"),
    [
        ("1 01", "001 0001", ("1", "01", "001", "0001"), ()),
        ("x_in y_in", "x_gt_ids y_gt_ids x_gt_color y_gt_color", ("{id}_gt_color", "{id}_gt_ids"),
         ("{id}_in", "{id}_gt_ids")),
        ("1L 1R", "1L_1st 1R_1st 1L_2nd 1R_2nd", ("{id}_1st", "{id}_2nd"), ("{id}", "{id}_2nd")),
    ],
)  # fmt: skip
def test_several_partners_are_refused_with_the_candidates(one, other, candidates, patterns):
    assert match_sides([one.split(), other.split()]) == Ambiguity(candidates, patterns)


def test_missing_partners_are_told_by_the_rule_that_pairs_the_most():
    match = matched("1_in 2_in 3_in 4_in", "2_out 3_out 4_out 5_out")
    assert [*match.pairs] == ["2", "3", "4"] and match.unpaired == (("1_in",), ("5_out",)) and match.holds_most
    exact = matched("1 2 3", "3 4 5")
    assert [*exact.pairs] == ["3"] and exact.holds_most
    assert not matched("1 2", "3 4").holds_most


@pytest.mark.parametrize("kind", ONE_FOLDER)
def test_partners_in_one_folder(kind):
    one, other, has_roles = ONE_FOLDER[kind]
    found = match_one_folder(sorted((one + " " + other).split()))
    assert isinstance(found, OneFolderMatch) and found.has_roles is has_roles and found.match.is_complete
    assert [*found.match.pairs.values()] == [*zip(one.split(), other.split(), strict=True)]


@pytest.mark.parametrize(
    "names",
    [
        *("1 2 3 4", "1_1 1_2 2_1 2_2", "city_1 city_2 forest_1 forest_2", "cmp_b1 cmp_b2 cmp_x1 cmp_x2", "1", "a b"),
        *("1 2 3 4 5 6 7 7_mask", "x/0 x/1 y/0 y/1"),
    ],
)
def test_side_by_side_images_are_no_partners(names):
    assert match_one_folder(names.split()) is None


@pytest.mark.parametrize(
    ("names", "candidates"),
    [
        ("1_day 1_night 2_day 2_night", ("{id}_day", "{id}_night")),
        ("1 1_mask 1_inst 2 2_mask 2_inst", ("{id}", "{id}_inst", "{id}_mask")),
        ("1_mask 1_inst 2_mask 2_inst", ("{id}_inst", "{id}_mask")),
    ],
)
def test_families_without_clear_roles_are_refused(names, candidates):
    assert match_one_folder(names.split()) == Ambiguity(candidates)


_WORD = st.text(string.ascii_lowercase, min_size=2, max_size=6)
_IDS = st.lists(st.tuples(_WORD, st.integers(0, 300)), min_size=2, max_size=12, unique=True)
_AFFIX = st.tuples(st.sampled_from(["", "_", "-"]), _WORD, st.booleans())


def _spelled(ids, affix, zeros: int, upper: bool) -> list[str]:
    """The names of a side: each id with an affix before or after it, its number padded, perhaps in capitals."""
    separator, word, is_prefix = affix
    names = []
    for text, number in ids:
        core = f"{text}_{number:0{zeros}}"
        whole = core if not separator else f"{word}{separator}{core}" if is_prefix else f"{core}{separator}{word}"
        names.append(whole.upper() if upper else whole)
    return names


@settings(max_examples=150, deadline=None)
@given(_IDS, st.tuples(_AFFIX, _AFFIX), st.tuples(*[st.sampled_from([1, 3, 5])] * 2), st.booleans(), st.randoms())
def test_planted_partners_are_found_and_no_others(ids, affixes, zeros, upper, random):
    one = _spelled(ids, affixes[0], zeros[0], False)
    other = _spelled(ids, affixes[1], zeros[1], upper)
    shuffled = random.sample(other, len(other))
    match = match_sides([one, shuffled])
    assert isinstance(match, Match) and match.is_complete
    assert {*match.pairs.values()} == {*zip(one, other, strict=True)} and len(match.pairs) == len(ids)
    fewer = match_sides([one, shuffled[1:]]) if len(ids) > 3 else match
    if isinstance(fewer, Match):  # whatever is paired is paired rightly
        assert {*fewer.pairs.values()} <= {*zip(one, other, strict=True)}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=2, max_size=8, unique=True), st.sampled_from(["", "_in", "_photo"]))
def test_planted_ambiguity_is_refused(numbers, suffix):
    one = [f"{number}{suffix}" for number in numbers]
    two_spellings = [f"{number:04}" for number in numbers] + [f"{number:05}" for number in numbers]
    families = [f"{number}_{family}" for number in numbers for family in ("ids", "color")]
    for other in (two_spellings, families):
        assert isinstance(match_sides([one, other]), Ambiguity), other
