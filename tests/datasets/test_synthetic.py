"""The drawn facades: the same for everyone, not recoloured labels, and yet to be learned from the map."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from pix2pix.datasets.synthetic.draw import CLASSES, PALETTE, draw_pair

SIZE = (128, 128)


def _classes(labels: np.ndarray) -> np.ndarray:
    """Palette colours [..., 3] to class indices [...]; any other colour fails."""
    same = (labels[..., None, :] == PALETTE).all(-1)  # [..., 12]
    assert (same.sum(-1) == 1).all()
    return same.argmax(-1)


def _draw(indices: range, photo_seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Photographs in [-1, 1], [N, H, W, 3], and their classes [N, H, W]."""
    pairs = [draw_pair(index, seed=3, size=SIZE, photo_seed=photo_seed) for index in indices]
    photos, labels = (np.stack(images) for images in zip(*pairs, strict=True))
    return photos / 127.5 - 1, _classes(labels)


@pytest.fixture(scope="module")
def known():
    return _draw(range(100))


@pytest.fixture(scope="module")
def unseen():
    return _draw(range(1000, 1050))


def _share_explained(truth: np.ndarray, guess: np.ndarray) -> float:
    return 1 - ((truth - guess) ** 2).sum() / ((truth - truth.mean((0, 1, 2))) ** 2).sum()


def _color_per_class(photos: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return np.stack([photos[classes == i].mean(0) for i in range(len(CLASSES))])


def _digest() -> str:
    images = [image for index in (0, 7) for image in draw_pair(index, seed=5, size=(64, 96))]
    return hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()


def test_the_same_bytes_here_and_in_another_process():
    assert _digest() == _digest()
    program = f"import sys; sys.path[:0] = {sys.path!r}\nimport {__name__} as t; print(t._digest())"
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == _digest()


def test_index_and_seed_each_give_another_building():
    maps = [draw_pair(index, seed, SIZE)[1] for index, seed in ((0, 0), (1, 0), (0, 1), (1, 1))]
    for i, one in enumerate(maps):
        for other in maps[:i]:
            assert (one != other).any(-1).mean() > 0.1


def test_the_default_photograph_is_that_of_the_collection():
    for default, named in zip(draw_pair(4, 6, SIZE), draw_pair(4, 6, SIZE, photo_seed=6), strict=True):
        np.testing.assert_array_equal(default, named)


@pytest.mark.parametrize("size", [(16, 16), (33, 70), (96, 160), (300, 200)])
def test_any_size_with_exact_palette_colors(size):
    photo, labels = draw_pair(2, 0, size)
    assert photo.shape == labels.shape == (*size, 3)
    assert photo.dtype == labels.dtype == np.uint8
    assert len(np.unique(_classes(labels))) >= 4


def test_another_size_shows_the_same_building():
    for index in range(8):
        (photo, labels), (large_photo, large_labels) = draw_pair(index, 0, (128, 96)), draw_pair(index, 0, (256, 192))
        halved = large_photo.reshape(128, 2, 96, 2, 3).mean((1, 3))
        assert (labels == large_labels[::2, ::2]).all(-1).mean() > 0.88
        assert np.abs(halved - photo).mean() / 127.5 < 0.14
        other = draw_pair(index + 1, 0, (128, 96))[1]
        assert (other == large_labels[::2, ::2]).all(-1).mean() < 0.8


def test_every_class_occurs_about_as_often_as_in_cities(unseen):
    _, classes = unseen
    area = dict(zip(CLASSES, np.bincount(classes.ravel(), minlength=len(CLASSES)) / classes.size, strict=True))
    occurs = {name: (classes == i).any((1, 2)).mean() for i, name in enumerate(CLASSES)}
    assert min(occurs.values()) >= 0.15, occurs
    assert all(occurs[name] == 1 for name in ("background", "facade", "window", "door"))
    assert 0.15 < area["background"] < 0.4 and 0.25 < area["facade"] < 0.5 and 0.08 < area["window"] < 0.25, area
    assert all(0.003 < area[name] < 0.1 for name in CLASSES[3:]), area


def test_photographs_are_not_recolored_maps(known, unseen):
    colors = _color_per_class(*known)
    photos, classes = unseen
    explained = _share_explained(photos, colors[classes])
    assert 0.25 < explained <= 0.6
    # And the two are drawn in the same place: a map moved by four pixels says clearly less.
    for axis in (1, 2):
        assert _share_explained(photos, colors[np.roll(classes, 4, axis)]) < explained - 0.05


def test_one_map_has_many_photographs(unseen):
    photos, classes = unseen
    others, same_classes = _draw(range(1000, 1050), photo_seed=8)
    np.testing.assert_array_equal(classes, same_classes)
    distance = np.abs(photos - others).mean((1, 2, 3))
    assert distance.mean() >= 0.12 and distance.min() > 0.03


def test_windows_are_darker_than_walls_at_the_same_places(known):
    photos, classes = known
    brightness = photos.mean(-1)
    window, wall = (classes == CLASSES.index(name) for name in ("window", "facade"))
    both = (window.sum(0) >= 10) & (wall.sum(0) >= 10)  # [H, W]
    means = [(brightness * mask).sum(0)[both] / mask.sum(0)[both] for mask in (window, wall)]
    assert both.mean() > 0.2
    assert (means[0] < means[1] - 0.1).mean() > 0.9


def test_walls_lie_in_shadow_below_ledges(known):
    photos, classes = known
    brightness = photos.mean(-1)
    wall = classes[:, 12:] == CLASSES.index("facade")
    for name in ("cornice", "sill", "molding", "balcony"):
        below = (classes[:, 11:-1] == CLASSES.index(name)) & wall
        clear = wall & (classes[:, :-12] == CLASSES.index("facade"))
        assert brightness[:, 12:][below].mean() < brightness[:, 12:][clear].mean() - 0.2, name


def _features(classes: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """What maps say of some pixels (classes around, height, what the building has), [n, F], and where those are."""
    rng = np.random.default_rng(0)
    n, y, x = (rng.integers(a, b, 20_000) for a, b in ((0, len(classes)), (8, SIZE[0] - 8), (8, SIZE[1] - 8)))
    near = [(dy, dx) for dy in (-6, -3, -1, 0, 1, 3) for dx in (-2, -1, 0, 1, 2)]
    around = [np.eye(len(CLASSES))[classes[n, y + dy, x + dx]] for dy, dx in near]
    has = np.stack([(classes == i).any((1, 2)) for i in range(len(CLASSES))], 1)[n]  # [n, 12]
    here = around[near.index((0, 0))]
    height = here * (y / SIZE[0])[:, None]
    style = (here[:, 1:3, None] * has[:, None]).reshape(len(n), -1)  # of walls and windows
    return np.concatenate([*around, height, height**2, style], 1), (n, y, x)


def test_a_linear_look_around_beats_one_color_per_class(known, unseen):
    """A guard for learnability: light, frames and material follow from the map, as far as least squares can tell."""
    (features, at), (features_new, at_new) = _features(known[1]), _features(unseen[1])
    ridge = np.eye(features.shape[1])
    weights = np.linalg.solve(features.T @ features + ridge, features.T @ known[0][at])
    truth = unseen[0][at_new]
    colors = _color_per_class(*known)[unseen[1][at_new]]
    ratio = np.abs(truth - features_new @ weights).mean() / np.abs(truth - colors).mean()
    assert ratio < 0.85, ratio
