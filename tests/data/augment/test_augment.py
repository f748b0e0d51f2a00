"""What chance does to a pair: alike to both of its pictures, as the draw says, and nothing unless asked."""

import hashlib

import numpy as np
import pytest
import torch
from augmented import CPU, Pictures, epoch
from hypothesis import given, settings
from hypothesis import strategies as st
from making import EVERYTHING, noise, save_halves

from pix2pix.config import AugmentConfig
from pix2pix.data import PairedDataset
from pix2pix.data.augment.apply import prepare
from pix2pix.data.augment.params import sample_augment_params
from pix2pix.data.loader import PairLoader


def changes(square: bool) -> st.SearchStrategy[AugmentConfig]:
    """Any augmentation that a config may ask for."""
    strength = st.sampled_from([0.0, 0.2, 1.0])
    return st.builds(
        AugmentConfig,
        flip_vertical=st.booleans(),
        quarter_turns=st.booleans() if square else st.just(False),
        rotation=st.sampled_from([0.0, 3.0, 45.0]),
        scale=st.sampled_from([(1.0, 1.0), (0.5, 0.5), (0.7, 2.0), (1.5, 1.5)]),
        brightness=strength,
        contrast=strength,
        saturation=strength,
        hue=st.sampled_from([0.0, 0.05, 0.5]),
    )


CROPS = st.sampled_from([(16, 16), (17, 17), (16, 24)])
CASES = CROPS.flatmap(lambda crop: st.tuples(st.just(crop), changes(crop[0] == crop[1])))
SIZES = st.tuples(st.integers(3, 40), st.integers(3, 40))  # smaller than the crop, and larger


def test_without_augmentation_batches_are_what_they_always_were(tmp_path):
    """An older run that is continued must see the same.

    Hashed anew before the first release, when draws became hashes and floats were taken from the middle of their range.
    """
    for i in range(6):
        save_halves(tmp_path / f"train/{i}.png", noise(20, 16, i), noise(20, 16, 100 + i))
    data = PairedDataset.from_folder(tmp_path, layout="side-by-side", load_size=(20, 16), val_fraction=0).prepare()
    for augment in (None, AugmentConfig()):
        seen = hashlib.sha256()
        for number in (0, 1, 5):
            for batch in PairLoader(data, (12, 9), 4, True, 11, augment=augment).epoch(number):
                assert batch.keys() == {"input", "target", "flip", "index"}
                for part in (*list(batch.values())[:3], batch["index"], *prepare(batch, CPU, augment, (12, 9))):
                    seen.update(part.contiguous().numpy().tobytes())
        assert seen.hexdigest() == "94bd67419ef1a64fbe7a9bcfe76bdeb827741e8f8482219c5b94c42cd2ce40bc"


# --- alike on both sides ---


@settings(deadline=None, max_examples=60)
@given(CASES, SIZES, st.sampled_from([(), ("input", "target")]), st.integers(0, 2**31))
def test_the_same_picture_on_both_sides_stays_the_same(case, size, labels, seed):
    crop, augment = case
    picture = noise(*size, seed)
    data = Pictures(*[(picture, picture)] * 3)
    pairs = epoch(PairLoader(data, crop, 2, True, seed, augment=augment), crop, augment, labels)
    assert len(pairs) == 3 and all(torch.equal(x, y) for x, y in pairs.values())


@settings(deadline=None, max_examples=60)
@given(CASES, SIZES, st.sampled_from(["input", "target"]), st.integers(0, 2**31))
def test_labels_never_gain_a_colour(case, size, side, seed):
    """Not through any setting, not where the other side is a picture, and they stay whole numbers."""
    crop, augment = case
    palette = noise(1, 7, seed)[0]
    label = palette[np.random.default_rng(seed).integers(7, size=size)]
    pictures = (label, noise(*size)) if side == "input" else (noise(*size), label)
    loader = PairLoader(Pictures(pictures, pictures), crop, 2, True, seed, augment=augment)
    for pair in epoch(loader, crop, augment, (side,)).values():
        got = pair[side == "target"]
        assert got.dtype == torch.uint8
        assert set(map(tuple, got.flatten(1).T.tolist())) <= set(map(tuple, palette.tolist()))


@settings(deadline=None, max_examples=40)
@given(CASES, SIZES, st.integers(0, 2**31))
def test_labels_and_pictures_move_alike(case, size, seed):
    """Where every pixel holds its own place, mixing neighbours and taking the nearest differ by half a pixel."""
    crop, augment = case
    augment = augment.model_copy(update={"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0})
    rows, columns = np.mgrid[: size[0], : size[1]]
    places = np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)
    loader = PairLoader(Pictures((places, places)), crop, 1, True, seed, augment=augment)
    ((picture, label),) = epoch(loader, crop, augment, ("target",)).values()
    assert (picture.float() - label.float()).abs().max() <= 0.5001


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_neither_workers_nor_batch_size_matter_and_no_generator_is_touched():
    data = Pictures(*[(noise(30 + i, 40 - i, i), noise(30 + i, 40 - i, 50 + i)) for i in range(7)])
    torch.manual_seed(3)
    before = torch.get_rng_state()
    runs = [
        epoch(PairLoader(data, (32, 32), size, True, 5, workers, augment=EVERYTHING), (32, 32), EVERYTHING, number=2)
        for size, workers in ((1, 0), (3, 0), (7, 0), (3, 2))
    ]
    assert torch.equal(torch.get_rng_state(), before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for i in range(7) for a, b in zip(run[i], runs[0][i], strict=True))
    other = epoch(PairLoader(data, (32, 32), 3, True, 5, augment=EVERYTHING), (32, 32), EVERYTHING, number=3)
    assert not any(torch.equal(other[i][0], runs[0][i][0]) for i in range(7))


# --- the draw ---


def test_turning_one_thing_on_changes_no_other():
    def at(index: int, **on):
        return sample_augment_params(1, 2, index, (40, 50), (32, 32), True, AugmentConfig(**on))

    for i in range(50):
        whole = sample_augment_params(1, 2, i, (40, 50), (32, 32), True, EVERYTHING)
        for key in list(AugmentConfig.model_fields)[:-1]:
            one, off = at(i, **{key: getattr(EVERYTHING, key)}), at(i)
            assert (one.top, one.left, one.flip) == (whole.top, whole.left, whole.flip)
            for field in ("flip_vertical", "turns", "angle", "scale", "colour"):
                assert getattr(one, field) in (getattr(whole, field), getattr(off, field)) or field == "colour"
            for a, b, c in zip(one.colour, whole.colour, off.colour, strict=True):
                assert a in (b, c)
        assert off == at(i) and (off.flip_vertical, off.turns, off.angle, off.scale) == (False, 0, 0, 1)
        assert off.colour == (1, 1, 1, 0)


def test_draws_fill_their_ranges_evenly():
    draws = [
        sample_augment_params(0, e, i, (32, 32), (32, 32), True, EVERYTHING) for e in range(20) for i in range(100)
    ]
    values = {
        "flip": ([d.flip for d in draws], 0, 1),
        "flip_vertical": ([d.flip_vertical for d in draws], 0, 1),
        "turns": ([d.turns for d in draws], 0, 3),
        "angle": ([d.angle for d in draws], -20, 20),
        "scale": ([d.scale for d in draws], 0.8, 1.3),
        "brightness": ([d.colour[0] for d in draws], 0.7, 1.3),
        "contrast": ([d.colour[1] for d in draws], 0.6, 1.4),
        "saturation": ([d.colour[2] for d in draws], 0.5, 1.5),
        "hue": ([d.colour[3] for d in draws], -0.2, 0.2),
    }
    for name, (seen, low, high) in values.items():
        assert low <= min(seen) < low + (high - low) / 50 and high - (high - low) / 50 < max(seen) <= high, name
        assert np.mean(seen) == pytest.approx((low + high) / 2, abs=(high - low) / 20), name
    assert sorted(set(values["turns"][0])) == [0, 1, 2, 3]
    in_lockstep = np.corrcoef([seen for seen, _, _ in values.values()]) - np.eye(len(values))
    assert np.abs(in_lockstep).max() < 0.1  # no two go together


# --- what each does ---
