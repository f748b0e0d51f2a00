"""Findings about the values in images."""

from pathlib import Path

import numpy as np
import pytest
from making import noise, save
from planting import (
    ENOUGH,
    FACADES,
    NO_VALIDATION,
    PLANTED,
    checked,
    classes,
    clean,
    codes,
    jpeg,
    judge,
    look,
    named,
    numbers,
    resized,
    write,
    write_ids,
)

from pix2pix.check import check
from pix2pix.config import config_from_dict
from pix2pix.datasets.synthetic.draw import PALETTE


@pytest.mark.parametrize(
    ("ids", "remedy"),
    [
        ([0, 7, 11, 255], "data.target_format palette"),
        ([0, 255], "data.target_format kind mask"),
        (range(12), None),
        ([0, 1, 8], None),
    ],
)
def test_labels_that_are_mostly_gaps(tmp_path, ids, remedy):
    for number in range(4):
        save(tmp_path / f"train/input/{number}.png", noise(40, 40, number))
        labels = np.array(ids, np.uint8)[np.arange(1600).reshape(40, 40) // 100 % len(ids)]
        save(tmp_path / f"train/target/{number}.png", np.roll(labels, number, 0))
    more = ("--set", "data.target_format.kind=labels")
    code, report = checked(tmp_path, *more)
    found = [one for one in report["findings"] if one["code"] == "label-gaps"]
    assert code == 0 and len(found) == (remedy is not None)
    if remedy:
        assert ", ".join(map(str, ids)) in found[0]["message"] and remedy in found[0]["remedy"]
    _, report = checked(tmp_path, *more, "--set", "data.target_format.classes=256")  # is asked for
    assert "label-gaps" not in {one["code"] for one in report["findings"]}


def test_a_few_files_that_decide_are_named_and_counted(tmp_path):
    for number in range(16):
        save(tmp_path / f"train/input/{number:02}.png", noise(40, 40, number)[..., : 1 if number else 3].squeeze())
        alpha = np.full((40, 40, 1), 255, np.uint8)
        target = noise(40, 40, number + 20)
        save(tmp_path / f"train/target/{number:02}.png", target if number != 3 else np.concatenate([target, alpha], 2))
    code, report = checked(tmp_path, *NO_VALIDATION)
    found = {one["message"]: one["items"] for one in report["findings"] if one["code"] == "few-decide"}
    assert code == 0 and list(found) == [
        "1 of 16 inputs has colours; all become RGB",
        "1 of 16 targets has alpha; all become RGBA",
    ]
    assert [Path(items[0]["files"][0]).name for items in found.values()] == ["00.png", "03.png"]
    split = report["splits"]["train"]
    assert split["input"] == "image, 3 channels, 8-bit, 0 to 255 (from 15 of 1 channel, 1 of 3 channels)"
    assert split["target"].endswith("(from 15 of 3 channels, 1 of 4 channels)")
    chosen = [f"data.{side}_format.channels={count}" for side, count in (("input", 3), ("target", 4))]
    _, report = checked(tmp_path, *(word for setting in chosen for word in ("--set", setting)))
    assert "few-decide" not in {one["code"] for one in report["findings"]}


def test_labels_that_jpeg_or_resizing_has_blended():
    pairs, found = clean("drawn")[:8], 0
    for number in range(PLANTED):
        if number % 4:
            blended = [(jpeg(input, 35 + 3 * number), target) for input, target in pairs]
        else:
            blended = [tuple(resized(side, 1.2 + number / 20) for side in pair) for pair in pairs]
        found += "blended-labels" in codes(blended)
    assert found >= ENOUGH and "blended-labels" not in codes(pairs)


def test_one_label_map_among_clean_ones_that_jpeg_has_blended(tmp_path):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        pairs[index] = (jpeg(pairs[index][0], 50 + 2 * index), pairs[index][1])
    write(tmp_path, pairs)
    (found,) = look(tmp_path).findings[:1]
    assert found.code == "blended-labels" and found.severity == "note"
    assert {item.files[0][-7:-4] for item in found.items} == {f"{index:03}" for index in range(PLANTED)}


def test_pictures_of_one_colour(tmp_path):
    pairs, rng = list(clean("drawn")), np.random.default_rng(2)
    for index in range(PLANTED):
        empty = np.full((128, 128, 3), rng.integers(0, 256, 3), np.uint8)
        pairs[index] = (empty, pairs[index][1]) if index % 2 else (pairs[index][0], empty)
    write(tmp_path, pairs)
    assert named(look(tmp_path), "constant") == numbers("train", range(PLANTED))


def test_pictures_almost_of_one_colour(tmp_path):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        faint = np.full((128, 128, 3), 10 * index + 30, np.uint8)
        faint[index : index + 20, 30:60] += 2
        pairs[index] = (pairs[index][0], faint)
    write(tmp_path, pairs)
    assert named(look(tmp_path), "almost-constant") == numbers("train", range(PLANTED))


@pytest.mark.parametrize(("top", "kind"), [(1, "mask"), (11, "labels")])
def test_masks_and_ids_that_come_out_black(tmp_path, top, kind):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        ids = (pairs[index][0][..., :1] == PALETTE[1, 0]) * np.uint8(top)
        pairs[index] = (pairs[index][0], np.repeat(ids, 3, axis=2))
    write(tmp_path, pairs)
    report = look(tmp_path)
    assert named(report, "black") == numbers("train", range(PLANTED))
    assert f"data.target_format kind {kind}" in report.findings[0].remedy


def test_empty_masks_are_a_note(tmp_path):
    def plant(index: int, ids: np.ndarray) -> np.ndarray:
        return np.where((ids == 1) & (index >= PLANTED), 255, 0).astype(np.uint8)

    write_ids(tmp_path, clean("drawn")[:40], plant)
    report = look(tmp_path, input_format={"kind": "mask"})
    assert named(report, "constant") == numbers("train", range(PLANTED))
    assert {one.severity for one in report.findings} == {"note"}


def test_colours_that_are_snapped_to_a_palette_are_a_warning(tmp_path):
    pairs = list(clean("drawn")[:40])
    for index in range(PLANTED):
        pairs[index] = (jpeg(pairs[index][0], 40 + 2 * index), pairs[index][1])
    write(tmp_path, pairs)
    palette = {"kind": "labels", "palette": PALETTE.tolist()}
    report = look(tmp_path, input_format=palette)
    assert named(report, "blended-labels") == numbers("train", range(PLANTED)) and not report.fails
    assert report.findings[0].severity == "warning"


def test_ids_in_jpeg_are_a_warning(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:30]):
        suffix = "jpg" if index < PLANTED else "png"
        ids = np.full((128, 128), index % 12, np.uint8) if index < PLANTED else classes(labels)
        save(tmp_path / "train" / "input" / f"{index:03}.{suffix}", ids)
        save(tmp_path / "train" / "target" / f"{index:03}.png", photograph)
    report = look(tmp_path, input_format={"kind": "labels", "classes": 12})
    assert named(report, "blended-labels") == numbers("train", range(PLANTED))


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the real facades, which only developers have")
def test_the_facades_labels_are_a_warning_where_they_are_taken_for_labels():
    colours = (
        "0,0,222 0,48,255 0,128,255 0,207,255 32,255,224 112,254,142 192,255,63 255,240,0 255,159,0 255,80,0 254,0,0"
    )
    palette = [[int(value) for value in colour.split(",")] for colour in f"{colours} 174,0,0".split()]
    data = {"root": str(FACADES), "direction": "b2a", "input_format": {"kind": "labels", "palette": palette}}
    report = check(config_from_dict({"data": data}, "test"))
    (found,) = report.findings
    assert (found.code, found.severity, report.fails) == ("blended-labels", "warning", False)
    assert found.count > 590


def test_smooth_grey_images_are_not_blended_labels():
    rows, columns = np.mgrid[0:128, 0:128]
    depths = [
        np.dstack([(rows + columns * (1 + shift % 3) / 2) // 2 + shift] * 3).astype(np.uint8) for shift in range(9)
    ]
    assert "blended-labels" not in {one.code for one in judge([(depth, depth[::-1]) for depth in depths])}


def test_an_id_to_ignore_is_no_gap(tmp_path):
    for index in range(4):
        ids = np.array([0, 1, 2, 255], np.uint8)[np.arange(64 * 64).reshape(64, 64) // 16 % 4]
        save(tmp_path / f"train/input/{index}.png", noise(64, 64, index))
        save(tmp_path / f"train/target/{index}.png", ids)
    report = look(tmp_path, target_format={"kind": "labels", "ignore": 255})
    assert "label-gaps" not in {one.code for one in report.findings}
    assert "label-gaps" in {one.code for one in look(tmp_path, target_format={"kind": "labels"}).findings}


def test_the_notes_of_the_plan_are_in_the_report(tmp_path):
    for index in range(4):
        for name in ("input", "target"):
            values = np.random.default_rng(index).uniform(0, 1, (64, 64)).astype(np.float32)
            values[0, 0] = 1000  # uses up the range
            path = tmp_path / "train" / name / f"{index}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values)
    _, report = checked(tmp_path)
    for side in ("input", "target"):
        assert sum(f"data.{side}_format.range" in note for note in report["notes"]) == 1
    report = check(config_from_dict({"data": {"root": str(tmp_path)}}, "test"))
    assert report.notes and all(f"  note: {note}" in str(report) for note in report.notes)
