"""What chance does to a pair: alike to both of its pictures, as the draw says, and nothing unless asked."""

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from making import EVERYTHING, noise, save_halves
from PIL import Image

from pix2pix.config import AugmentConfig
from pix2pix.data import PairedDataset
from pix2pix.data.augment.apply import augment_batch, prepare, to_float
from pix2pix.data.augment.geometry import margin, turn_and_flip, warp, warp_numbers
from pix2pix.data.augment.params import sample_augment_params
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat
from pix2pix.data.loader import PairLoader

CPU = torch.device("cpu")


class Pictures:
    """A data set of given pairs of uint8 [H, W, C], as the loader sees one."""

    formats = RGB

    def __init__(self, *pairs: tuple[np.ndarray, np.ndarray]):
        self.pairs = [[torch.from_numpy(side.copy()).permute(2, 0, 1) for side in pair] for pair in pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict:
        return {"input": self.pairs[index][0], "target": self.pairs[index][1], "index": index}


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


def formats(labels=()) -> PairFormat:
    """Three channels a side; labels in those sides that are named."""
    kinds = {side: ImageFormat("labels" if side in labels else "image", classes=256) for side in ("input", "target")}
    return PairFormat((kinds["input"],), kinds["target"])


def epoch(loader: PairLoader, crop, augment, labels=(), number: int = 0) -> dict[int, tuple[torch.Tensor, ...]]:
    """index -> the pair's pictures, as training gets them but for the last step to [-1, 1]."""
    pairs = {}
    for batch in loader.epoch(number):
        assert batch["input"].dtype == batch["target"].dtype == torch.uint8  # what crosses the bus
        sides = augment_batch(batch, CPU, augment, crop, formats(labels))
        assert sides["input"].shape[-2:] == sides["target"].shape[-2:] == crop
        pairs |= dict(zip(batch["index"].tolist(), zip(sides["input"], sides["target"], strict=True), strict=True))
    return pairs


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


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("vertical", [None, False, True])
def test_turns_and_mirrors_are_numpys_to_the_bit(turns, flip, vertical):
    """Turned first, against the clock; pictures of a batch each by their own draw."""
    pictures = [noise(9, 9, 1), noise(9, 9, 2)]
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    second = None if vertical is None else torch.tensor([vertical, False])
    got = turn_and_flip(batch, torch.tensor([flip, False]), second, torch.tensor([turns, 0]))
    want = np.rot90(pictures[0], turns)
    want = want[:, ::-1] if flip else want
    want = want[::-1] if vertical else want
    assert got.dtype == torch.uint8 and np.array_equal(got[0].permute(1, 2, 0), want)
    assert np.array_equal(got[1].permute(1, 2, 0), pictures[1])


def test_through_the_loader_turns_and_mirrors_only_move_pixels():
    """Each pair by its own draw, and the values are those of the file."""
    data = Pictures(*[(noise(20, 24, i), noise(20, 24, 90 + i)) for i in range(30)])
    augment, seen = AugmentConfig(flip_vertical=True, quarter_turns=True), set()
    for index, pair in epoch(PairLoader(data, (16, 16), 7, True, 1, augment=augment), (16, 16), augment).items():
        it = sample_augment_params(1, 0, index, (20, 24), (16, 16), True, augment)
        seen.add((it.turns, it.flip, it.flip_vertical))
        for got, seed in zip(pair, (index, 90 + index), strict=True):
            want = np.rot90(noise(20, 24, seed)[it.top : it.top + 16, it.left : it.left + 16], it.turns)
            want = want[:, ::-1] if it.flip else want
            assert got.dtype == torch.uint8
            assert np.array_equal(got.permute(1, 2, 0), want[::-1] if it.flip_vertical else want)
    assert len(seen) > 10  # of 16


def test_mirrors_without_turns_do_for_rectangles():
    picture = noise(6, 9)
    batch = torch.from_numpy(picture).permute(2, 0, 1)[None]
    got = turn_and_flip(batch, torch.tensor([True]), torch.tensor([True]), None)[0]
    assert np.array_equal(got.permute(1, 2, 0), picture[::-1, ::-1])


def pillow(picture: np.ndarray, angle: float, scale: float, crop: tuple[int, int], resample) -> np.ndarray:
    """The middle of a picture [H, W, 3] that Pillow rotated (against the clock) and enlarged about its centre."""
    wide = np.pad(picture, ((40, 40), (40, 40), (0, 0)), "reflect")
    height, width = wide.shape[:2]
    cos, sin = math.cos(math.radians(angle)) / scale, math.sin(math.radians(angle)) / scale
    x, y = width / 2, height / 2
    back = (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)
    if scale == 1:  # Pillow's own idea of an angle
        moved = np.asarray(Image.fromarray(wide).rotate(angle, resample))
    else:
        moved = np.asarray(Image.fromarray(wide).transform((width, height), Image.Transform.AFFINE, back, resample))
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    return moved[top : top + crop[0], left : left + crop[1]]


@pytest.mark.parametrize(("angle", "scale"), [(10, 1), (-30, 1), (45, 1), (0, 0.6), (0, 1.7), (17, 0.8), (-8, 1.25)])
@pytest.mark.parametrize("crop", [(32, 32), (25, 25), (24, 36)])
def test_rotation_and_scale_are_pillows(angle, scale, crop):
    """With what the loader brings in from beyond the crop: here its reflection, as the picture ends there."""
    augment = AugmentConfig(rotation=float(abs(angle)), scale=(float(scale), float(scale)))
    beside = margin(augment, crop)
    picture = noise(*crop, 5)
    wide = np.pad(picture, ((beside[0],) * 2, (beside[1],) * 2, (0, 0)), "reflect")
    batch = torch.from_numpy(wide.copy()).permute(2, 0, 1)[None]
    numbers = torch.tensor([warp_numbers(angle, scale)])
    got = warp(batch, numbers, crop, "bilinear")[0].permute(1, 2, 0).numpy()
    beyond = got - pillow(picture, angle, scale, crop, Image.Resampling.BILINEAR)
    assert beyond.min() > -0.01 and beyond.max() < 1.01  # Pillow rounds down
    got = warp(batch, numbers, crop, "nearest")[0].permute(1, 2, 0).numpy()
    same = (got == pillow(picture, angle, scale, crop, Image.Resampling.NEAREST)).all(-1)
    assert same.mean() > 0.9  # a place halfway between two pixels may go to either


def test_an_unmoved_warp_is_the_picture_itself():
    picture = torch.from_numpy(noise(20, 30)).permute(2, 0, 1)[None]
    for interpolation in ("bilinear", "nearest"):
        got = warp(picture, torch.tensor([warp_numbers(0, 1)]), (20, 30), interpolation)
        assert (got.float() - picture.float()).abs().max() < 0.01


@settings(deadline=None, max_examples=200)
@given(
    st.tuples(st.integers(16, 300), st.integers(16, 300)),
    st.floats(0, 45),
    st.floats(0.5, 2),
    st.floats(-1, 1),
    st.floats(0, 1),
)
def test_the_margin_holds_every_rotation_and_scale_and_little_more(crop, rotation, low, swing, more):
    augment = AugmentConfig(rotation=rotation, scale=(low, low + (2 - low) * more))
    beside = margin(augment, crop)

    def reach(angle: float, scale: float) -> tuple[float, float]:
        cos, sin = warp_numbers(abs(angle), scale)
        down, right = (crop[0] - 1) / 2, (crop[1] - 1) / 2
        return cos * down + sin * right - down, cos * right + sin * down - right

    drawn = reach(rotation * swing, low + (2 - low) * more * abs(swing))
    assert all(beyond <= have + 1e-9 for beyond, have in zip(drawn, beside, strict=True))
    angles = np.linspace(0, rotation, 200)
    most = np.max([reach(angle, low) for angle in angles], 0)
    assert all(have < max(beyond, 0) + 1.01 for beyond, have in zip(most, beside, strict=True))


def test_the_crop_is_the_draws_whatever_the_margin():
    """Rotated by nothing, the middle of the window is the crop that the draw names, pixels around it included."""
    augment = AugmentConfig(rotation=30.0)
    picture = noise(50, 60)
    beside = margin(augment, (32, 32))
    (batch,) = PairLoader(Pictures((picture, picture)), (32, 32), seed=4, augment=augment).epoch(0)
    it = sample_augment_params(4, 0, 0, (50, 60), (32, 32), False, augment)
    padded = np.pad(picture, ((99, 99), (99, 99), (0, 0)), "reflect")
    rows = slice(99 + it.top - beside[0], 99 + it.top + 32 + beside[0])
    columns = slice(99 + it.left - beside[1], 99 + it.left + 32 + beside[1])
    assert np.array_equal(batch["input"][0].permute(1, 2, 0), padded[rows, columns])
    turned = np.asarray(Image.fromarray(padded[rows, columns]).rotate(it.angle, Image.Resampling.BILINEAR))
    want = turned[beside[0] : beside[0] + 32, beside[1] : beside[1] + 32]
    x, _ = prepare(batch, CPU, augment, (32, 32))
    assert (x[0].permute(1, 2, 0) - to_float(torch.from_numpy(want.copy()))).abs().max() <= 1.01 / 127.5
