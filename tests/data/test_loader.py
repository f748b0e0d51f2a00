"""The data set keeps what was read; the loader crops and mirrors both pictures of a pair alike, from counters alone."""

import hashlib
from collections import Counter

import numpy as np
import pytest
import torch
from making import coordinates, save_halves

from pix2pix.data import PairedDataset
from pix2pix.data.augment.apply import prepare, to_float, to_pixels
from pix2pix.data.augment.params import sample_augment_params
from pix2pix.data.formats.image_format import ImageFormat
from pix2pix.data.loader import PairLoader, worker_count

LOAD, CROP = (24, 19), (16, 12)  # room for 9 x 8 places of the crop
COUNT, EPOCHS, SEED = 50, 20, 3
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Pictures that hold their own coordinates: A as they are, B with 100 added; and the pair's index."""
    root = tmp_path_factory.mktemp("coordinates")
    for i in range(COUNT):
        save_halves(root / f"train/{i:03}.png", coordinates(*LOAD, i), coordinates(*LOAD, i, offset=100))
    return PairedDataset.from_folder(root, layout="side-by-side", load_size=LOAD, val_fraction=0).prepare()


def _indices(loader: PairLoader, epoch: int, start: int = 0) -> list[list[int]]:
    return [batch["index"].tolist() for batch in loader.epoch(epoch, start)]


def _order(loader: PairLoader, epoch: int) -> list[int]:
    return [index for batch in _indices(loader, epoch) for index in batch]


def _seen(loader: PairLoader, epochs: range = range(EPOCHS)) -> dict[tuple[int, int], tuple[int, int, bool]]:
    """(epoch, index) -> (top, left, flipped), read off the pixels that training would get."""
    seen = {}
    for epoch in epochs:
        for batch in loader.epoch(epoch):
            assert batch["input"].dtype == batch["target"].dtype == torch.uint8 and batch["flip"].dtype == torch.bool
            x, y = (to_pixels(images).int() for images in prepare(batch, CPU))
            assert x.shape == y.shape == (len(batch["index"]), 3, *CROP)
            shift = torch.tensor([100, 100, 0])[:, None, None]
            assert torch.equal(x + shift, y), "input and target were not cropped and mirrored alike"
            for index, (rows, columns, numbers) in zip(batch["index"].tolist(), x, strict=True):
                assert (numbers == index).all() and (epoch, index) not in seen
                assert (rows == rows[0, 0] + torch.arange(CROP[0])[:, None]).all()
                flipped = bool(columns[0, 0] > columns[0, 1])
                left = columns[0].min()
                want = left + torch.arange(CROP[1])
                assert (columns == (want.flip(0) if flipped else want)).all()
                seen[epoch, index] = int(rows[0, 0]), int(left), flipped
    return seen


@pytest.fixture(scope="module")
def seen(dataset):
    """1,000 draws."""
    return _seen(PairLoader(dataset, CROP, batch_size=7, flip=True, seed=SEED))


def test_both_pictures_get_the_same_crop_and_flip_and_it_is_the_draw(seen):
    assert len(seen) == 1000
    for (epoch, index), got in seen.items():
        want = sample_augment_params(SEED, epoch, index, LOAD, CROP, flip=True)
        assert got == (want.top, want.left, want.flip)


def test_draws_and_orders_stay_what_they_are(dataset):
    """They are part of every run: one that is continued by a later version must see the same."""
    for epoch, index in ((0, 0), (0, 1), (7, 3)):
        digest = hashlib.blake2b(b"".join(n.to_bytes(8, "little") for n in (SEED, 2, epoch, index))).digest()
        chance = [int.from_bytes(digest[at : at + 4], "little") / 2**32 for at in (0, 4, 8)]
        top, left, flip = int(9 * chance[0]), int(8 * chance[1]), chance[2] < 0.5
        it = sample_augment_params(SEED, epoch, index, LOAD, CROP, flip=True)
        assert (it.top, it.left, it.flip) == (top, left, flip)
        want = np.random.default_rng((SEED, 1, epoch)).permutation(COUNT).tolist()
        assert _order(PairLoader(dataset, CROP, seed=SEED), epoch) == want


# A machine of one core is warned that two workers are many.
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_change_nothing(dataset, seen):
    uncached = PairedDataset(dataset.pairs, LOAD, cache="off")
    loader = PairLoader(uncached, CROP, batch_size=9, flip=True, seed=SEED, workers=2)
    assert _seen(loader) == seen
    next(loader.epoch(4))  # given up after one batch, as a stopped epoch is
    assert _indices(loader, 5, 20) == _indices(PairLoader(dataset, CROP, 9, True, SEED), 5, 20)


def test_every_place_and_both_flips_occur_about_equally_often(seen):
    tops, lefts, flips = (Counter(values) for values in zip(*seen.values(), strict=True))
    for counts, places in ((tops, 9), (lefts, 8), (flips, 2)):
        assert set(counts) == set(range(places))
        expected = 1000 / places
        chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
        assert chi_square < {9: 26.1, 8: 24.3, 2: 10.8}[places]  # once in a thousand seeds it would be more
    assert len(set(seen.values())) > 130  # of 144: no two of the three go together
    per_index = {index: {seen[epoch, index] for epoch in range(EPOCHS)} for index in range(COUNT)}
    assert min(map(len, per_index.values())) > 10  # a pair looks different in other epochs


def test_without_flip_none_is_mirrored_and_the_crops_stay(dataset, seen):
    plain = _seen(PairLoader(dataset, CROP, batch_size=8, seed=SEED), range(3))
    assert plain == {place: (*seen[place][:2], False) for place in plain}


def test_other_seeds_draw_otherwise(dataset, seen):
    other = _seen(PairLoader(dataset, CROP, batch_size=8, flip=True, seed=SEED + 1), range(2))
    assert sum(other[place] == seen[place] for place in other) < 10


def test_nothing_is_cropped_where_sizes_are_equal(dataset):
    for batch in PairLoader(dataset, LOAD, batch_size=25, flip=False).epoch(0):
        for i, index in enumerate(batch["index"].tolist()):
            for key, offset in (("input", 0), ("target", 100)):
                assert np.array_equal(batch[key][i].permute(1, 2, 0), coordinates(*LOAD, index, offset))


def test_each_index_comes_once_an_epoch_and_the_short_batch_is_kept(dataset):
    loader = PairLoader(dataset, CROP, batch_size=7)
    for epoch in range(3):
        batches = _indices(loader, epoch)
        assert [len(batch) for batch in batches] == [7] * 7 + [1]
        assert sorted(index for batch in batches for index in batch) == list(range(COUNT))


def test_order_follows_from_seed_and_epoch(dataset):
    def orders(seed: int) -> list[tuple[int, ...]]:
        loader = PairLoader(dataset, CROP, batch_size=5, seed=seed)
        return [tuple(_order(loader, epoch)) for epoch in (0, 1, 2, 0)]

    first, other = orders(0), orders(1)
    assert first == orders(0) and first[0] == first[3]
    assert len({*first, *other, tuple(range(COUNT))}) == 7


@pytest.mark.parametrize("start", [0, 1, 14, 49, 50])
def test_start_skips_exactly_the_first_pairs(dataset, start):
    loader = PairLoader(dataset, CROP, batch_size=7)
    whole, rest = _order(loader, 1), _indices(loader, 1, start)
    assert [index for batch in rest for index in batch] == whole[start:]
    assert all(len(batch) == 7 for batch in rest[:-1])


def test_two_epochs_side_by_side_do_not_mix(dataset):
    loader = PairLoader(dataset, CROP, batch_size=10)
    first, second = loader.epoch(0), loader.epoch(1)
    both = [(a["index"].tolist(), b["index"].tolist()) for a, b in zip(first, second, strict=True)]
    assert [a for a, _ in both] == _indices(loader, 0) and [b for _, b in both] == _indices(loader, 1)


def test_the_global_random_generators_are_left_alone(dataset):
    torch.manual_seed(5)
    np.random.seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for epoch in range(2):
        _indices(PairLoader(dataset, CROP, batch_size=20, flip=True), epoch)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_floats_and_pixels_are_inverse_for_every_value():
    pixels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(pixels)
    assert floats.dtype == torch.float32 and floats.min() == -1 and floats.max() == 1
    assert (floats.double() - (pixels.double() / 255 - 0.5) / 0.5).abs().max() < 1e-6
    assert to_pixels(floats).dtype == torch.uint8 and torch.equal(to_pixels(floats), pixels)
    assert to_pixels(torch.tensor([-1.5, 2.0, 0.0, -0.999])).tolist() == [0, 255, 128, 0]
    assert torch.equal(to_pixels(floats.half()), pixels)  # 16-bit floats tell 256 values apart


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_floats_and_pixels_are_inverse_at_every_depth(bits):
    fmt = ImageFormat(dtype="uint8" if bits == 8 else "uint16", range=(0.0, 2.0**bits - 1))
    pixels = torch.arange(2**bits, dtype=torch.int32)
    floats = to_float(pixels, fmt)
    assert floats[0] == -1 and floats[-1] == 1 and torch.equal(floats, -floats.flip(0))
    assert (floats.double() - (2 * pixels.double() / (2**bits - 1) - 1)).abs().max() < 2**-23
    assert torch.equal(to_pixels(floats, fmt).int(), pixels)


@pytest.mark.parametrize("span", [(0.0, 1.0), (-1.0, 1.0), (-300.0, 1200.0), (0.0, 0.37)])
def test_floats_of_any_range_come_back(span):
    fmt = ImageFormat(dtype="float32", range=span)
    pixels = torch.linspace(*span, 1001)
    floats = to_float(pixels, fmt)
    assert (floats - torch.linspace(-1, 1, 1001)).abs().max() < 1e-6
    assert (to_pixels(floats, fmt) - pixels).abs().max() < 1e-6 * (span[1] - span[0])


def test_worker_count(dataset):
    uncached = PairedDataset(dataset.pairs, LOAD, cache="off")
    assert (worker_count(5, dataset), worker_count(0, uncached)) == (5, 0)
    assert worker_count("auto", dataset) == 0 and 1 <= worker_count("auto", uncached) <= 8
