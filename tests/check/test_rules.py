"""Rules about sizes, halves, orientation and frames."""

from pathlib import Path

import pytest
from making import noise, save
from PIL import Image
from planting import ENOUGH, NO_VALIDATION, PLANTED, checked, clean, codes, look, named, numbers, resized, write


@pytest.mark.parametrize(
    ("names", "width", "single"),
    [
        (["0_A", "0_B", "1_A", "1_B"], 80, ["0_A", "0_B", "1_A", "1_B"]),
        (["0_input", "0_target", "1_Input", "1_target", "2"], 80, ["0_input", "0_target", "1_Input", "1_target"]),
        (["0", "1", "2"], 40, ["0", "1", "2"]),  # halves of 40 x 20
        (["0", "1", "2", "3_A"], 80, []),
    ],
)
def test_single_images_taken_for_pairs_side_by_side(tmp_path, names, width, single):
    for number, name in enumerate(names):
        save(tmp_path / "train" / f"{name}.png", noise(40, width, number))
    code, report = checked(tmp_path, *NO_VALIDATION, "--set", "data.layout=side-by-side")
    found = [item["files"][0] for one in report["findings"] if one["code"] == "halves" for item in one["items"]]
    assert code == 0 and [Path(file).stem for file in found] == single


def test_sizes_below_load_size_are_a_note(tmp_path):
    write(tmp_path, clean("drawn")[:8])
    (found,) = [one for one in look(tmp_path, load_size=143).findings if one.code == "small"]
    assert found.severity == "note" and found.count == 8 and "143x143" in found.message
    assert not [one for one in look(tmp_path, load_size=128).findings if one.code == "small"]


def test_a_pair_of_quite_another_size():
    pairs, found = clean("drawn")[:40], 0
    for index in range(PLANTED):
        odd = tuple(resized(side, 4 + index / 10 if index % 2 else 0.3 - index / 200) for side in pairs[index])
        found += "odd-size" in codes([*pairs[:index], odd, *pairs[index + 1 :]])
    assert found >= ENOUGH and "odd-size" not in codes(pairs)


def test_pictures_that_exif_turns_on_one_side_only(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:40]):
        turn = {"orientation": 1 + index % 8} if index < PLANTED + 3 else {}
        save(tmp_path / "train" / "input" / f"{index:03}.png", labels)
        save(tmp_path / "train" / "target" / f"{index:03}.jpg", photograph, quality=95, **turn)
    report = look(tmp_path)
    turned = [one for one in report.findings if one.code == "turned"]
    assert {item.files[0][-7:-4] for item in turned[0].items} == {
        f"{index:03}" for index in range(PLANTED + 3) if index % 8
    }
    assert not report.fails


def test_files_of_several_frames(tmp_path):
    write(tmp_path, clean("drawn")[:30])
    for index in range(PLANTED):
        (tmp_path / "train" / "input" / f"{index:03}.bmp").unlink()
        frames = [Image.fromarray(clean("drawn")[place][0]) for place in (index, index + 1, index + 2)]
        suffix = ("gif", "webp", "png", "tif")[index % 4]
        save(
            tmp_path / "train" / "input" / f"{index:03}.{suffix}",
            frames[0],
            save_all=True,
            append_images=frames[1:],
            **({"lossless": True} if suffix == "webp" else {}),
        )
    assert named(look(tmp_path), "animated") == numbers("train", range(PLANTED))
