"""Cityscapes: nobody may download it for others; what people fetched themselves is made into pairs."""

from pathlib import Path

import numpy as np
import pytest
from commands import pix2pix, refused
from making import noise, save, smooth
from PIL import Image

from pix2pix.config import load_config
from pix2pix.data.images.files import read_image
from pix2pix.data.index import DatasetIndex
from pix2pix.datasets.catalogue import CITYSCAPES_COUNTS

COLOURS = np.array([(128, 64, 128), (70, 70, 70), (0, 0, 142), (0, 0, 0)], np.uint8)  # road, building, car, nothing
NAMES = {"train": ["aachen_000000_000019", "bremen_000001_000019"], "val": ["munster_000002_000019"]}


@pytest.fixture(autouse=True)
def counts(monkeypatch):
    for split, names in NAMES.items():
        monkeypatch.setitem(CITYSCAPES_COUNTS, split, len(names))


def labels(seed: int, height: int = 288, width: int = 576) -> np.ndarray:
    """Opaque colours in blocks of odd sizes, as RGBA, which is how Cityscapes has them."""
    blocks = np.random.default_rng(seed).integers(0, len(COLOURS), (height // 13 + 1, width // 17 + 1))
    colours = COLOURS[np.kron(blocks, np.ones((13, 17), int))[:height, :width]]
    return np.dstack([colours, np.full((height, width), 255, np.uint8)])


def unzipped(root: str = "fetched") -> Path:
    """What unzipping both of its files into one folder leaves, with the other files that lie there."""
    for seed, (split, name) in enumerate((split, name) for split, names in NAMES.items() for name in names):
        city = name.split("_")[0]
        save(Path(root, "leftImg8bit", split, city, f"{name}_leftImg8bit.png"), smooth(288, 576) // (seed + 1))
        for kind in ("color", "labelIds", "instanceIds"):
            save(Path(root, "gtFine", split, city, f"{name}_gtFine_{kind}.png"), labels(seed))
    save(Path(root, "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png"), noise(8, 8))  # without labels
    return Path(root)


def prepare(*flags: object):
    return pix2pix("download", "cityscapes", "--from", "fetched", *flags)


def test_it_says_how_to_get_it():
    result = pix2pix("download", "cityscapes", "--output", "my data")
    assert result.code == 3
    assert result.lines[0].startswith("error: cityscapes cannot be downloaded")
    for word in ("https://www.cityscapes-dataset.com", "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip"):
        assert word in result.err
    assert result.lines[-1].strip() == "3. pix2pix download cityscapes --output 'my data' --from FOLDER"
    assert list(Path().iterdir()) == []


def test_photos_and_labels_become_pairs_that_the_shipped_config_reads():
    unzipped()
    result = prepare()
    assert result.code == 0 and result.out.splitlines()[-1] == "data/cityscapes is complete (train 2, val 1 pairs)"
    files = sorted(str(path.relative_to("data")) for path in Path("data").rglob("*") if path.is_file())
    assert files == sorted(
        f"cityscapes/{split}/{side}/{name}.png" for split, names in NAMES.items() for name in names for side in "ab"
    )
    data = load_config("cityscapes").data
    seed = 0
    for split, names in NAMES.items():
        index = DatasetIndex.scan(data)
        pairs = index.pairs(split, (256, 256))
        assert index.layout(split).name == "two-folders" and [pair.name for pair in pairs] == names
        for pair in pairs:
            input, target = pair.read()
            photo = Image.fromarray(smooth(288, 576) // (seed + 1)).resize((256, 256), Image.Resampling.BICUBIC)
            flat = Image.fromarray(labels(seed)[..., :3]).resize((256, 256), Image.Resampling.NEAREST)
            assert np.array_equal(target, np.asarray(photo)) and np.array_equal(input, np.asarray(flat))
            assert {tuple(colour) for colour in input.reshape(-1, 3)} == {tuple(colour) for colour in COLOURS}
            seed += 1


def test_both_zips_in_folders_of_their_own():
    unzipped("one")
    Path("fetched/leftImg8bit_trainvaltest").mkdir(parents=True)
    Path("one/leftImg8bit").rename("fetched/leftImg8bit_trainvaltest/leftImg8bit")
    Path("one/gtFine").rename("fetched/gtFine")
    assert prepare().code == 0
    assert read_image("data/cityscapes/val/b/munster_000002_000019.png").pixels.shape == (256, 256, 3)


def test_what_is_prepared_is_kept_and_checked():
    unzipped()
    prepare()
    before = {path: path.stat().st_mtime_ns for path in Path("data").rglob("*")}
    for flags in ((), ("--from", "nowhere")):
        result = pix2pix("download", "cityscapes", *flags)
        assert result.code == 0 and "complete already (train 2, val 1 pairs)" in result.out
    assert {path: path.stat().st_mtime_ns for path in Path("data").rglob("*")} == before
    photo = Path("data/cityscapes/train/a/bremen_000001_000019.png")
    for damage, words in (
        (lambda: photo.write_bytes(b"broken"), "bremen_000001_000019.png: "),
        (lambda: save(photo, noise(8, 8)), "are of two sizes, 8x8 and 256x256"),
        (photo.unlink, "train holds 1 photos and 2 labels instead of 2 pairs of one name"),
    ):
        damage()
        result = pix2pix("download", "cityscapes")
        refused(result, 3, "data/cityscapes exists but is not the complete data set", words, "Move or delete it")


PHOTO, LABELS = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png", "gtFine/val/munster"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: root.rename("moved"), "fetched: no such folder"),
        (
            lambda root: (root / PHOTO).unlink(),
            "fetched: 1 of train lack the photo or the labels: aachen_000000_000019",
        ),
        (lambda root: (root / LABELS).rename("moved"), "fetched: 1 of val lack the photo or the labels: munster"),
        (lambda root: (root / PHOTO).write_bytes(b"broken"), f"{PHOTO}: "),
        (lambda root: save(root / PHOTO, noise(8, 8)), "are of two sizes, 8x8 and 576x288"),
        (lambda root: save(root / "more" / PHOTO, noise(8, 8)), "are the same image"),
    ],
)
def test_what_is_not_whole_is_refused_and_leaves_nothing(damage, words):
    damage(unzipped())
    refused(prepare(), 3, words)
    assert not Path("data").exists() or list(Path("data").iterdir()) == []


def test_too_few_pairs_are_refused(monkeypatch):
    unzipped()
    monkeypatch.setitem(CITYSCAPES_COUNTS, "train", 2975)
    refused(prepare(), 3, "fetched: holds 2 pairs of train instead of 2975; unzip leftImg8bit_trainvaltest.zip and")
    assert list(Path("data").iterdir()) == []


def test_flags_that_do_not_fit():
    refused(pix2pix("download", "facades", "--from", "x"), 2, "--from is for cityscapes", "'facades' is downloaded")
    refused(prepare("--url", "http://127.0.0.1/x"), 2, "--url is not for cityscapes", "--from")
    assert list(Path().iterdir()) == []
