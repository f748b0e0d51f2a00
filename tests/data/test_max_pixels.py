"""`data.max_pixels` and `sample --max-pixels`: wherever images are read, in worker processes too."""

import pytest
from commands import picture, pix2pix
from making import save, smooth
from PIL import Image

from pix2pix.config import DataConfig, config_difference, config_from_dict
from pix2pix.data.dataset import open_split
from pix2pix.data.fingerprint import cache_key
from pix2pix.data.index import DatasetIndex
from pix2pix.data.loader import open_loader
from pix2pix.errors import DataError
from pix2pix.training.resume import MUTABLE_KEYS

PIXELS = 40 * 40


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Two pairs of images that are too large by default, as Pillow is set here."""
    for side in "ab":
        for number in range(2):
            picture(tmp_path / "set/train" / side / f"{number}.png", 40, 40, seed=number)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    return tmp_path / "set"


def settings(root, **data) -> DataConfig:
    return DataConfig(root=str(root), val_fraction=0, image_size=32, load_size=36, cache="off", **data)


@pytest.mark.parametrize("workers", [0, 1])
def test_pairs_are_read_up_to_the_limit(root, workers):
    data = settings(root, max_pixels=PIXELS, workers=workers)
    dataset = open_split(data, "train", data.load).prepare()
    with open_loader(data, dataset, 0, False) as loader:
        assert sum(len(batch["index"]) for batch in loader.epoch(0)) == 2
    for limit in (None, PIXELS - 1):
        with pytest.raises(DataError) as refused:
            open_split(settings(root, max_pixels=limit), "train", data.load)
        assert refused.value.code == "too-large" and refused.value.path.parent.parent == root / "train"


def test_the_limit_changes_neither_caches_nor_the_identity_of_a_run(root):
    pairs = [DatasetIndex.scan(settings(root, max_pixels=n)).pairs("train", (32, 32)) for n in (None, PIXELS)]
    assert pairs[0] != pairs[1] and cache_key(pairs[0], "") == cache_key(pairs[1], "")
    configs = [config_from_dict({"data": {"layout": "synthetic", "max_pixels": n}}, "test") for n in (None, PIXELS)]
    assert {key for key, *_ in config_difference(*configs)} == {"data.max_pixels"} <= MUTABLE_KEYS


def test_the_evidence_for_side_by_side_images_is_looked_for_within_the_limit(tmp_path, monkeypatch):
    for number in range(2):
        save(tmp_path / f"{number}.png", smooth(40, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError) as refused:
        DatasetIndex.scan(settings(tmp_path, max_pixels=2400)).pairs("train", (32, 32))
    assert refused.value.code == "single-images"


def test_sample_takes_a_limit(root, trained, monkeypatch):
    command = ("sample", "--weights", trained / "gen.pt", "--output", "out")
    for source in (("--input", root / "train/a"), ("--data", root, "--split", "train")):
        refused = pix2pix(*command, *source)
        assert refused.code == 3 and "--max-pixels" in refused.err
        assert pix2pix(*command, *source, "--max-pixels", PIXELS).code == 0
    assert pix2pix(*command, "--input", root / "train/a", "--max-pixels", "0").code == 2
