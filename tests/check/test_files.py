"""Files without a partner, missing ones and those that cannot be used: each planted one is named, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import TINY, picture, pix2pix, program, refused
from making import noise, save, smooth
from planting import (
    NO_VALIDATION,
    PLANTED,
    broken_set,
    checked,
    clean,
    jpeg,
    look,
    named,
    numbers,
    write,
    write_ids,
)

from pix2pix.config import load_config
from pix2pix.data.index import DatasetIndex


def test_every_unmatched_name_is_in_the_json_and_ten_are_on_the_screen(tmp_path):
    for index in range(30):
        picture(tmp_path / "train" / "a" / f"{index:02}.png")
        picture(tmp_path / "train" / "b" / f"{index + 15:02}.png")
    code, report = checked(tmp_path)
    (found,) = [one for one in report["findings"] if one["code"] == "unmatched"]
    names = [Path(item["files"][0]).stem for item in found["items"]]
    assert code == 3 and names == [f"{index:02}" for index in [*range(15), *range(30, 45)]]
    screen = pix2pix("check", "--data", tmp_path).out
    assert found["count"] == 30
    assert all(screen.count(f"/{name}.png\n") == (place < 10) for place, name in enumerate(names))
    assert "and 20 more" in screen


def test_every_file_that_a_manifest_lists_and_that_is_missing_is_named(tmp_path):
    for index, sides in enumerate(clean("drawn")[:40]):
        for side, pixels in zip("ab", sides, strict=True):
            save(tmp_path / f"{index:02}{side}.bmp", pixels)
    rows = [f"{index:02}a.bmp,{index:02}b.bmp,{'train' if index < 30 else 'val'}" for index in range(40)]
    (tmp_path / "pairs.csv").write_text("\n".join(["input,target,split", *rows]))
    for index in range(20, 40):
        (tmp_path / f"{index:02}{'ab'[index % 2]}.bmp").unlink()
    code, report = checked(tmp_path / "pairs.csv", *NO_VALIDATION, "--set", "data.image_size=128")
    (found,) = [one for one in report["findings"] if one["severity"] != "note"]
    assert (code, found["code"], found["severity"], found["count"]) == (3, "missing", "error", 20)
    assert [Path(item["files"][0]).name for item in found["items"]] == [
        f"{index:02}{'ab'[index % 2]}.bmp" for index in range(20, 40)
    ]
    assert found["items"][0]["detail"] == f"{tmp_path / 'pairs.csv'}:22"
    assert {name: split["pairs"] for name, split in report["splits"].items()} == {"train": 20}
    refused(pix2pix("train", *TINY, "--set", "data.direction=null", "--data", tmp_path / "pairs.csv"), 3, "20 files")


def test_an_unpaired_image_is_listed_once_where_no_split_is_on_disk(tmp_path):
    for index in range(30):
        picture(tmp_path / "a" / f"{index:02}.png", seed=index)
        picture(tmp_path / "b" / f"{index:02}.png", seed=index + 50)
    picture(tmp_path / "b" / "more.png")
    _, report = checked(tmp_path)
    (found,) = [one for one in report["findings"] if one["code"] == "unmatched"]
    assert found["count"] == 1 and set(report["splits"]) == {"train", "val"}


def test_files_of_every_broken_kind_are_listed_with_their_reason_and_stop_nothing(tmp_path):
    write(tmp_path, clean("drawn")[:30])
    good = {}
    for suffix in ("png", "jpg", "webp", "gif", "tiff"):
        good[suffix] = save(tmp_path / f"good.{suffix}", smooth(40, 40)).read_bytes()
    kinds = [data[: len(data) // 2] for data in good.values()] + [data[:20] for data in good.values()]
    kinds += [b"", b"\0" * 1000, b"<html>not found</html>", b"\xff\xd8\xff" + noise(9, 9).tobytes(), b"RIFF1234WEBP"]
    for index, data in enumerate(kinds):
        (tmp_path / "train" / "target" / f"{index:03}.bmp").write_bytes(data)
    result = program("check", "--data", tmp_path, *NO_VALIDATION, "--json")
    assert result.code == 3 and result.err == ""
    (found,) = [one for one in json.loads(result.out)["findings"] if one["code"] == "unreadable"]
    listed = {Path(item["files"][0]).stem: item["detail"] for item in found["items"]}
    assert list(listed) == [f"{index:03}" for index in range(len(kinds))] and all(listed.values())


def test_scanning_alone_refuses_what_check_reports(tmp_path):
    broken_set(tmp_path)
    with pytest.raises(Exception, match="1 without a partner"):
        DatasetIndex.scan(load_config("facades", [f"data.root={tmp_path}", "data.direction=null"]).data).pairs(
            "train", (32, 32)
        )


def test_pairs_of_unequal_size(tmp_path):
    pairs = list(clean("drawn"))
    for index in range(PLANTED):
        pairs[index] = (pairs[index][0][: 127 - index], pairs[index][1])
    write(tmp_path, pairs)
    report = look(tmp_path)
    assert named(report, "unequal-size") == numbers("train", range(PLANTED)) and report.fails


def test_files_without_two_halves(tmp_path):
    for index, pair in enumerate(clean("drawn")[:30]):
        pixels = np.concatenate(pair, axis=1)
        save(tmp_path / "data" / "train" / f"{index:03}.bmp", pixels[:, : 255 if index < PLANTED else 256])
    report = look(tmp_path / "data")
    assert named(report, "no-halves") == numbers("data", range(PLANTED)) and report.fails


def test_pictures_without_a_partner(tmp_path):
    pairs = clean("drawn")
    write(tmp_path, pairs[:40])
    write(tmp_path, pairs[40:], "val")
    for index in range(10):
        (tmp_path / "train" / "target" / f"{index:03}.bmp").unlink()
        (tmp_path / "val" / "input" / f"{index:03}.bmp").unlink()
    report = look(tmp_path)
    assert named(report, "unmatched") == numbers("train", range(10)) | numbers("val", range(10)) and report.fails
    assert {name: split.pairs for name, split in report.splits.items()} == {"train": 30, "val": 10}


def test_pictures_of_one_name(tmp_path):
    pairs = clean("drawn")[:30]
    write(tmp_path, pairs)
    for index in range(PLANTED):
        save(tmp_path / "train" / "input" / f"{index:03}.png", pairs[index][0])
    report = look(tmp_path)
    assert named(report, "same-name") == numbers("train", range(PLANTED)) and report.fails


def test_files_that_cannot_be_read(tmp_path):
    pairs = clean("drawn")[:40]
    write(tmp_path, pairs)
    whole = (tmp_path / "train" / "input" / "000.bmp").read_bytes()
    broken = [
        b"",
        b"BM",
        b"no picture",
        whole[:60],
        whole[:-1000],
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
    ]
    for index in range(PLANTED - 1):
        (tmp_path / "train" / ("input", "target")[index % 2] / f"{index:03}.bmp").write_bytes(broken[index % 8])
    (tmp_path / "train" / "input" / "019.bmp").unlink()
    (tmp_path / "train" / "input" / "019.npy").write_bytes(b"\x93NUMPY\x01\0")
    report = look(tmp_path)
    assert named(report, "unreadable") == numbers("train", range(PLANTED)) and report.fails
    assert all(item.detail for item in report.findings[0].items)


def test_ids_that_are_no_class(tmp_path):
    def plant(index: int, ids: np.ndarray) -> np.ndarray:
        ids = ids.copy()
        if index < PLANTED:
            ids[index, 3 * index] = 12 + index
        return ids

    write_ids(tmp_path, clean("drawn")[:40], plant)
    report = look(tmp_path, input_format={"kind": "labels", "classes": 12})
    assert named(report, "label-ids") == numbers("train", range(PLANTED)) and report.fails
    assert "the id 31 at row 19, column 57" in report.findings[0].items[19].detail
    assert report.splits["train"].input.startswith("labels of 12 classes")


def test_masks_with_other_values(tmp_path):
    def plant(index: int, ids: np.ndarray) -> np.ndarray:
        mask = np.where(ids == 1, 255, 0).astype(np.uint8)
        return jpeg(mask, 50 + index) if index < PLANTED else mask

    write_ids(tmp_path, clean("drawn")[:40], plant)
    report = look(tmp_path, input_format={"kind": "mask"})
    assert named(report, "mask-values") == numbers("train", range(PLANTED)) and report.fails


def test_images_of_another_format(tmp_path):
    pairs = clean("drawn")[:60]
    for index, (labels, photograph) in enumerate(pairs):
        if index < PLANTED:
            photograph = [np.dstack([photograph, photograph[..., 0]]), photograph[..., 0].astype(np.uint16) * 257][
                index % 2
            ]
        save(tmp_path / "train" / "input" / f"{index:03}.png", labels)
        save(tmp_path / "train" / "target" / f"{index:03}.png", photograph)
    report = look(tmp_path, target_format={"channels": 3})
    assert named(report, "format") == numbers("train", range(PLANTED)) and report.fails
