"""Folders as people name them: what is understood, with which evidence, and what is refused with remedies that work."""

import numpy as np
import pytest
from arrangements import ARRANGEMENTS, REFUSALS, drawn, files_of, names, target, write
from making import save

from pix2pix.config import DataConfig
from pix2pix.data.discovery.words import parse_folder_name
from pix2pix.data.index import DatasetIndex
from pix2pix.data.infer import infer_pair_formats
from pix2pix.errors import DataError

SIZE = (64, 64)
CASES = [(name, kind) for name, arrangement in ARRANGEMENTS.items() for kind in arrangement.kinds]
NAMES = {
    "Training_Images": ("train", "picture", "{split}_Images"),
    "trainannot": ("train", "target", "{split}annot"),
    "val_A": ("val", "a", "{split}_A"),
    "our485": ("train", "", "{split}"),
    "train2017": ("train", "", "{split}"),
    "imagesTs": ("test", "picture", "images{split}"),
    "1st_manual": ("", "target", "1st_manual"),
    "gtFine": ("", "target", "gtFine"),
    "mask_images": ("", "target", "mask_images"),
    "low_gt": ("", "", "low_gt"),
    "train_tracks": ("", "", "train_tracks"),
    "trains": ("", "", "trains"),
    "X2": ("", "", "X2"),
    "aachen": ("", "", "aachen"),
}


def require_pairs(index: DatasetIndex, split: str, number: int, kind: str, swapped: bool = False) -> None:
    """Every pair of the split, and its two images in this order."""
    wanted = {scene_name: i for scene_name, _, i in names(number)}
    pairs = index.pairs(split, SIZE)
    assert len(pairs) == len(wanted)
    for pair in pairs:
        images = [image.pixels for image in pair.images()][:: -1 if swapped else 1]
        i = next(i for name, i in wanted.items() if name in pair.name)
        photo, partner = (np.squeeze(pixels).astype(int) for pixels in images)
        assert np.abs(photo - drawn(i)[0]).mean() < 8  # JPEG
        values = target(i, kind)
        np.testing.assert_array_equal(
            partner > 0 if kind == "mask" else partner, values > 0 if kind == "mask" else values
        )


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_arrangements_are_understood(tmp_path, name, kind):
    arrangement = ARRANGEMENTS[name]
    write(tmp_path, files_of(arrangement), arrangement.splits, kind, arrangement.lists)
    index = DatasetIndex.scan(DataConfig(root=str(tmp_path), val_fraction=0.0))
    layout = index.layout()
    assert (*layout.inputs, layout.target) == arrangement.shown
    assert arrangement.rule in layout.rule and arrangement.evidence in layout.evidence
    assert index.splits == [split for split, _ in zip(("train", "val"), arrangement.splits or ("",), strict=False)]
    for number, split in enumerate(index.splits):
        if arrangement.target:
            require_pairs(index, split, number, kind)
    formats = infer_pair_formats(index.data, index.pairs("train", SIZE))
    assert (formats.input[0].kind, formats.target.kind) == ("image", kind)


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_refusals_name_remedies_that_work(tmp_path, name, kind):
    refusal = REFUSALS[name]
    write(tmp_path, refusal.files, refusal.splits, kind, refusal.lists)
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(DataConfig(root=str(tmp_path))).pairs("train", SIZE)
    assert caught.value.code == refusal.code
    for settings in refusal.remedies:
        for value in settings.values():
            assert repr(value) in str(caught.value)
        index = DatasetIndex.scan(DataConfig(root=str(tmp_path), val_fraction=0.0, **settings))
        for number, split in enumerate(index.splits):
            require_pairs(index, split, number, kind)
        assert len(index.splits) == max(1, len(refusal.splits))


@pytest.mark.parametrize("name", NAMES)
def test_what_the_name_of_a_folder_tells(name):
    parsed = parse_folder_name(name)
    assert (parsed.split, parsed.role, parsed.template.replace("2017", "")) == NAMES[name]


def test_the_direction_swaps_a_proposed_role(tmp_path):
    write(tmp_path, (("low/{n}.png", "input"), ("high/{n}.png", "target")), (), "image")
    for direction in (None, "a2b", "b2a"):
        index = DatasetIndex.scan(DataConfig(root=str(tmp_path), direction=direction, val_fraction=0.0))
        require_pairs(index, "train", 0, "image", swapped=direction == "b2a")
        layout, sides = index.layout(), ("high", "low") if direction == "b2a" else ("low", "high")
        assert (*layout.inputs, layout.target) == sides
        assert layout.evidence.startswith(f"{sides[0]} is the input and {sides[1]} the target")


def test_the_plan_names_the_folders_of_a_split(tmp_path):
    write(tmp_path, files_of(ARRANGEMENTS["train and trainannot"]), ("training", "val"), "mask")
    write(tmp_path, (("trainingannot/{n}.png", "target"),), (), "mask")
    evidence = DatasetIndex.scan(DataConfig(root=str(tmp_path))).layout().evidence
    assert evidence.startswith("training is the input and trainingannot the target")


def test_images_that_lists_do_not_name_are_left_out(tmp_path):
    arrangement = ARRANGEMENTS["VOC"]
    write(tmp_path, files_of(arrangement), arrangement.splits, "labels", arrangement.lists)
    for number in range(3):  # most images of VOC have no class map
        save(tmp_path / f"JPEGImages/9{number}.jpg", drawn(0)[0])
    index = DatasetIndex.scan(DataConfig(root=str(tmp_path)))
    assert [len(index.pairs(split, SIZE)) for split in index.splits] == [6, 3]


def test_lists_are_errors_where_they_are_wrong(tmp_path):
    arrangement = ARRANGEMENTS["a list of paths"]
    write(tmp_path, files_of(arrangement), arrangement.splits, "mask", arrangement.lists)
    path = tmp_path / "train.txt"
    lines = path.read_text().splitlines()
    data = DataConfig(root=str(tmp_path))
    for line, place in (("images/none.png", f"{path}:7"), ("images/100.png masks/101.png", f"{path}:7")):
        path.write_text("\n".join([*lines, line]))
        with pytest.raises(DataError) as caught:
            DatasetIndex.scan(data).pairs("train", SIZE)
        assert (caught.value.code, caught.value.path) == ("split-list", place)
    path.write_text("\n".join([*lines, "images/none.png"]))
    for settings in ({"unmatched": "skip"}, {}):
        if not settings:
            path.write_text("\n".join(lines))
        assert len(DatasetIndex.scan(data.model_copy(update=settings)).pairs("train", SIZE)) == 6
    path.write_text("\n")
    with pytest.raises(DataError) as caught:
        DatasetIndex.scan(data)
    assert (caught.value.code, caught.value.path) == ("split-list", path)
