"""Side by side needs evidence: pairs are taken as they are, and no single image is cut in half."""

from pathlib import Path

import numpy as np
import pytest
from making import SHARED, noise, save, save_halves
from PIL import Image

from pix2pix.config import DataConfig
from pix2pix.data.discovery.halves import measure_halves
from pix2pix.data.index import DatasetIndex
from pix2pix.datasets.synthetic.draw import draw_pair
from pix2pix.errors import DataError

FACADES = SHARED / "data/facades/train"
SIDE = 64


def drawn(index: int, height: int = SIDE, width: int = SIDE) -> list[np.ndarray]:
    """Return the photograph and the label map of a drawn facade."""
    return [
        np.asarray(Image.fromarray(side).resize((width, height), Image.Resampling.BOX))
        for side in draw_pair(index, 5, (2 * SIDE, 2 * SIDE))
    ]


def write_pairs(folder: Path, height: int = SIDE, width: int = SIDE) -> None:
    for index in range(8):
        save_halves(folder / f"{index}.png", *drawn(index, height, width))


def write_photos(folder: Path, height: int, width: int) -> None:
    for index in range(8):
        save(folder / f"{index}.png", drawn(index, height, width)[0])


def error(root: Path, split: str = "train", **settings) -> DataError:
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(DataConfig(root=str(root), **settings)).pairs(split, (8, 8))
    return caught.value


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 64), (64, 72)])
def test_pairs_of_any_shape_are_taken(tmp_path, height, width):
    write_pairs(tmp_path / "train", height, width)
    index = DatasetIndex.scan(DataConfig(root=str(tmp_path), val_fraction=0))
    pairs = index.pairs("train", (8, 8))
    assert [pair.name for pair in pairs] == [f"{i}" for i in range(8)]
    for half, expected in zip(pairs[3].images(), drawn(3, height, width), strict=True):
        np.testing.assert_array_equal(half.pixels, expected)
    assert "break at the middle" in index.layout().evidence


@pytest.mark.parametrize("width", [64, 86, 96, 128])
def test_photographs_are_not_cut_in_half_unless_the_config_insists(tmp_path, width):
    write_photos(tmp_path / "train", 64, width)
    refusal = error(tmp_path)
    assert (refusal.code, refusal.path) == ("single-images", tmp_path / "train")
    assert "data.layout to side-by-side" in refusal.remedy
    forced = DataConfig(root=str(tmp_path), layout="side-by-side", val_fraction=0)
    assert len(DatasetIndex.scan(forced).pairs("train", (8, 8))) == 8
    # The other remedy: the images as inputs, beside a folder of targets.
    for index in range(8):
        save(tmp_path / f"maps/{index}.png", drawn(index, 64, width)[1])
    (tmp_path / "train").rename(tmp_path / "photos")
    named = DataConfig(root=str(tmp_path), input="photos", target="maps", val_fraction=0)
    input, target = DatasetIndex.scan(named).pairs("train", (8, 8))[2].images()
    np.testing.assert_array_equal(input.pixels, drawn(2, 64, width)[0])
    np.testing.assert_array_equal(target.pixels, drawn(2, 64, width)[1])


def test_a_split_of_single_images_beside_pairs_is_refused(tmp_path):
    write_pairs(tmp_path / "train")
    for index in range(8):
        save(tmp_path / f"val/{index}.png", noise(SIDE, SIDE, index))
    assert len(DatasetIndex.scan(DataConfig(root=str(tmp_path))).pairs("train", (8, 8))) == 8
    refusal = error(tmp_path, "val")
    assert (refusal.code, refusal.path) == ("single-images", tmp_path / "val")


def test_a_folder_beside_the_split_with_the_same_names_may_hold_the_partners(tmp_path):
    for index in range(3):  # wide, and too noisy to say anything else
        save(tmp_path / f"train/{index}.png", noise(SIDE, 2 * SIDE, index))
    assert len(DatasetIndex.scan(DataConfig(root=str(tmp_path), val_fraction=0)).pairs("train", (8, 8))) == 3
    for index in range(3):
        save(tmp_path / f"others/{index}.png", noise(SIDE, 2 * SIDE, 9 + index))
    refusal = error(tmp_path)
    assert refusal.code == "single-images" and str(tmp_path / "others") in refusal.reason


def test_side_by_side_images_beside_a_folder_of_masks_stay_pairs_where_they_surely_are(tmp_path):
    write_pairs(tmp_path / "train")
    for index in range(8):
        save(tmp_path / f"masks/{index}.png", noise(SIDE, 2 * SIDE, index))
    assert DatasetIndex.scan(DataConfig(root=str(tmp_path))).layout().name == "side-by-side"


def test_white_margins_at_the_middle_tell_nothing(tmp_path):
    for index in range(8):
        photo, labels = (np.pad(side[8:-8, 8:-8], ((8, 8), (8, 8), (0, 0)), constant_values=255)
                         for side in drawn(index))  # fmt: skip
        save_halves(tmp_path / f"{index}.png", labels, photo)
    halves = measure_halves(sorted(tmp_path.iterdir()))
    assert halves is not None and halves.seam is None and halves.are_pairs


def test_a_broken_image_in_the_sample_is_left_to_the_reader(tmp_path):
    write_pairs(tmp_path / "train")
    (tmp_path / "train/0.png").write_bytes(b"no image")
    assert len(DatasetIndex.scan(DataConfig(root=str(tmp_path), val_fraction=0)).pairs("train", (8, 8))) == 8


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the facades")
def test_the_facades_are_pairs_and_their_photographs_are_not(tmp_path):
    paths = sorted(FACADES.iterdir())[:16]
    assert all(measure_halves(paths[start : start + 8]).are_pairs for start in (0, 8))
    for path in paths:
        with Image.open(path) as image:
            image.crop((0, 0, 256, 256)).save(tmp_path / f"{path.stem}.png")
    assert not measure_halves(sorted(tmp_path.iterdir())).are_pairs
