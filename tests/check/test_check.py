"""`pix2pix check` as a command: exit codes, its agreement with training, and data sets that cannot be read."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from commands import TINY, pairs, pix2pix, refused
from making import noise, save
from PIL import Image
from planting import (
    FACADES,
    NO_VALIDATION,
    SOURCES,
    broken_set,
    checked,
    clean,
    look,
    write,
)

from pix2pix.check import check
from pix2pix.check.findings import SEVERITIES
from pix2pix.config import config_from_dict


def test_a_clean_data_set_has_no_problems(tmp_path):
    # Darkened, since the drawn labels have the colours of CMP Facades.
    pairs = [(labels // 2, photograph) for labels, photograph in clean("drawn")[:10]]
    write(tmp_path, pairs[:8])
    write(tmp_path, pairs[8:], "val")
    result = pix2pix("check", "--data", tmp_path, "--set", "data.load_size=null")
    assert result.code == 0 and result.err == ""
    source, *table, note, resources, end = result.out.splitlines()
    words, classes = "image, 3 channels, 8-bit, 0 to 255", "labels of 11 classes, each an exact colour"
    assert source == f"{tmp_path}: two-folders, input train/input, target train/target"
    assert [re.split(" {2,}", line.strip()) for line in table] == [
        ["split", "pairs", "size", "input", "target"],
        ["train", "8", "128x128", classes, words],
        ["val", "2", "128x128", classes, words],
    ]
    assert note.startswith("  note: inputs are labels: 11 exact colours")
    assert all(number in resources for number in ("7 levels", "44,614,084", "701.9 MiB", "640.0 KiB"))
    assert end == "No problems found."


def test_the_worst_comes_first_with_its_remedy_and_exit_code(tmp_path):
    result = pix2pix("check", "--data", broken_set(tmp_path))
    assert result.code == 3 and result.err == ""
    lines = result.out.splitlines()
    starts = [line.split("]")[0] for line in lines if line.split()[0] in SEVERITIES]
    assert starts == ["error [unreadable", "error [unmatched", "warning [leak", "note [small"]
    assert f"    {tmp_path}/train/input/003.bmp: is not an image that can be read" in result.out
    assert lines[-1].startswith("2 errors, 1 warning, 1 note")
    assert len(lines) <= 40 and max(map(len, lines)) < 250


def test_training_fails_over_what_check_calls_an_error(tmp_path):
    broken_set(tmp_path)
    (tmp_path / "train" / "input" / "004.bmp").unlink()  # what is unmatched is refused before anything is read
    refused(pix2pix("train", *TINY, "--set", "data.direction=null", "--data", tmp_path), 3, "003.bmp")
    assert checked(tmp_path)[0] == 3


def test_what_is_wrong_in_a_split_that_training_never_reads_is_a_warning(tmp_path):
    pairs("data", "train", "val", "test", count=4, size=256)
    Path("data/test/1.png").write_bytes(b"")
    code, report = checked("data")
    assert code == 0 and not report["fails"]
    assert [(one["code"], one["severity"]) for one in report["findings"] if one["code"] == "unreadable"] == [
        ("unreadable", "warning")
    ]
    Path("data/val/1.png").write_bytes(b"")
    assert checked("data")[0] == 3


@pytest.mark.parametrize(
    ("broken", "rows"),
    [
        ("missing", ["0 0 train", "3 3 train", "1 1 val", "2 2 test"]),
        ("missing", ["0 0 train", "1 1 val", "3 3 test"]),
        ("missing", ["0 0 train", "3 3 train", "1 1 val", "3 2 test"]),
        ("unreadable", ["0 0 train", "3 3 train", "1 1 val", "3 2 test"]),
        ("unreadable", ["0 0 train", "1 1 val", "3 3 test"]),
    ],
)
def test_check_and_train_agree_on_a_broken_manifest(tmp_path, broken, rows):
    for number in range(4):
        save(tmp_path / f"{number}.png", noise(40, 40, number))
        save(tmp_path / f"t{number}.png", noise(40, 40, number + 10))
    (tmp_path / "3.png").write_bytes(b"no picture")
    if broken == "missing":
        (tmp_path / "3.png").unlink()
    cells = [row.split() for row in rows]
    lines = ["input,target,split", *(f"{input}.png,t{target}.png,{split}" for input, target, split in cells)]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(lines))
    trained = pix2pix("train", *TINY, "--set", "data.direction=null", "--data", manifest, "--output", tmp_path / "run")
    code, report = checked(manifest)
    assert (code, report["fails"]) == (trained.code, trained.code == 3), trained.err
    assert broken in [one["code"] for one in report["findings"]]


def test_nothing_is_reported_twice(tmp_path):
    for number, side in enumerate(("a", "b")):
        save(tmp_path / f"sizes/train/{side}/0.png", noise(40 + 8 * number, 40))
        for split in ("train", "val"):
            save(tmp_path / f"stems/{split}/{side}/{side}.png", noise(40, 40, number))
            save(tmp_path / f"ways/{split}/{side}/0.png", noise(40, 40, number))
            save(tmp_path / f"ways/{side}/{split}/0.png", noise(40, 40, number))
    (found,) = [one for one in checked(tmp_path / "sizes")[1]["findings"] if one["code"] == "unequal-size"]
    assert found["items"][0]["files"] == [f"{tmp_path}/sizes/train/a/0.png"]
    assert found["items"][0]["detail"].startswith("is 40x40 but ")
    code, report = checked(tmp_path / "stems")
    assert (code, [one["code"] for one in report["findings"]]) == (3, ["unmatched"])
    code, report = checked(tmp_path / "ways", "--set", "data.direction=b2a")
    assert (code, len(report["findings"])) == (3, 2)  # another text for each split
    (tmp_path / "ways/a").rename(tmp_path / "ways/c")
    (tmp_path / "ways/b").rename(tmp_path / "ways/d")
    for split in ("train", "val"):
        (tmp_path / f"ways/{split}/a").rename(tmp_path / f"ways/{split}/input")
        (tmp_path / f"ways/{split}/b").rename(tmp_path / f"ways/{split}/target")
    code, report = checked(tmp_path / "ways", "--set", "data.direction=b2a")
    assert (code, [one["code"] for one in report["findings"]]) == (3, ["layout"])


def test_a_broken_file_does_not_decide_what_the_pictures_are(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:12]):
        depth = photograph.astype(np.float32) / 255
        depth[3, 5] = np.nan if index in (0, 4) else 0
        (tmp_path / "train" / "input").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "train" / "input" / f"{index:02}.npy", depth)
        save(tmp_path / "train" / "target" / f"{index:02}.png", labels)
    (tmp_path / "train" / "target" / "02.png").write_bytes(b"")
    code, report = checked(tmp_path)
    found = {one["code"]: one["items"] for one in report["findings"] if one["severity"] == "error"}
    assert code == 3 and found.keys() == {"unreadable", "format"}
    assert [Path(item["files"][0]).name for item in found["format"]] == ["00.npy", "04.npy"]
    assert all("non-finite number at row 3, column 5" in item["detail"] for item in found["format"])
    assert report["splits"]["train"]["input"].startswith("image, 3 channels, float")


def test_an_unusable_number_type_is_reported_once(tmp_path):
    for index, (labels, _) in enumerate(clean("drawn")[:4]):
        (tmp_path / "train" / "input").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "train" / "input" / f"{index:02}.npy", labels.astype(np.int32))
        save(tmp_path / "train" / "target" / f"{index:02}.png", labels)
    code, report = checked(tmp_path, *NO_VALIDATION)
    assert code == 3 and [one["code"] for one in report["findings"]] == ["format", "no-validation"]
    assert "int32" in report["findings"][0]["message"] and "labels" in report["findings"][0]["remedy"]
    (tmp_path / "train" / "input" / "00.npy").write_bytes(b"")
    _, report = checked(tmp_path, *NO_VALIDATION)
    assert [one["code"] for one in report["findings"]] == ["unreadable", "format", "no-validation"]


MISSING = [("nowhere",), ("nowhere", "--json"), ("nowhere", "--preview", "sheet.png")]


@pytest.mark.parametrize("words", MISSING)
def test_where_there_is_no_data_the_usual_line_says_so(words):
    refused(pix2pix("check", "--data", *words), 3, "nowhere: no such folder", "--data")
    assert not Path("sheet.png").exists()


def test_a_config_or_data_must_be_given():
    refused(pix2pix("check"), 2, "--data", "--config")
    refused(pix2pix("check", "--config", "facades", "--set", "data.flip=maybe"), 2, "data.flip")
    refused(pix2pix("check", "--data", "x", "--set", "data.image_size=250"), 2, "data.image_size")


def test_a_data_set_without_pictures_or_without_train(tmp_path):
    Path("empty/train").mkdir(parents=True)
    result = pix2pix("check", "--data", "empty")
    assert result.code == 3 and "error [layout] empty/train: " in result.out
    pairs("data", "val")
    code, report = checked("data")
    assert code == 3 and report["findings"][0]["code"] == "layout"
    assert report["findings"][0]["message"].startswith("data/train: ")
    assert report["splits"]["val"]["pairs"] == 3


def test_a_config_is_checked_with_its_settings():
    result = pix2pix("check", "--config", "demo", "--set", "data.synthetic.train=12", "--json")
    report = json.loads(result.out)
    assert result.code == 0 and report["data"] == "drawn facades" and report["findings"] == []
    words = "image, 3 channels, 8-bit, 0 to 255"
    assert report["splits"]["train"] == {"pairs": 12, "size": "128x128", "input": words, "target": words}


def test_each_stacked_input_is_checked(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:20]):
        save(tmp_path / "edges" / f"{index:02}.png", labels)
        (tmp_path / "depth").mkdir(exist_ok=True)
        np.save(tmp_path / "depth" / f"{index:02}.npy", np.full((128, 128), 0.5 if index == 7 else 0, np.float32))
        if index != 7:
            np.save(tmp_path / "depth" / f"{index:02}.npy", photograph[..., 0].astype(np.float32) / 255)
        save(tmp_path / "photo" / f"{index:02}.png", photograph)
    flags = ["--set", "data.input=[edges,depth]", "--set", "data.target=photo", "--preview", tmp_path / "sheet.png"]
    code, report = checked(tmp_path, *flags, "--set", "data.image_size=128")
    (found,) = [one for one in report["findings"] if one["severity"] != "note"]
    assert code == 0 and found["code"] == "constant"
    assert [item["files"] for item in found["items"]] == [[str(tmp_path / "depth" / "07.npy")]]
    assert "image, 1 channel, float, 0 to 1" in report["splits"]["train"]["input"]
    with Image.open(report["sheet"]) as sheet:
        assert sheet.size == (4 + 6 * 132, 14 + 4 + 6 * 132)


@SOURCES
def test_clean_pairs_have_only_notes(tmp_path, source):
    pairs = clean(source)
    write(tmp_path, pairs[:40])
    write(tmp_path, pairs[40:], "val")
    assert [one for one in look(tmp_path).findings if one.severity != "note"] == []


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the real facades, which only developers have")
def test_nothing_is_wrong_with_all_606_facades():
    report = check(config_from_dict({"data": {"root": str(FACADES), "direction": "b2a"}}, "test"))
    assert {name: split.pairs for name, split in report.splits.items()} == {"train": 400, "val": 100, "test": 106}
    assert [(one.code, one.severity, one.count) for one in report.findings] == [
        ("blended-labels", "note", 606),
        ("known-colours", "note", 606),
    ]
