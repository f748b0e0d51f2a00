"""`pix2pix check` as a command: its screen, its JSON, its exit codes, its sheet; and what its parts are worth."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from commands import TINY, contents, pairs, picture, pix2pix, program, refused
from making import noise, save, smooth
from PIL import Image
from planting import InMemory, clean, look, shifted, write

from pix2pix.check.findings import CODES, SEVERITIES
from pix2pix.check.likeness import Likeness, checksum, hashes, near_duplicates, thumbnails
from pix2pix.check.registration import SIDE, Offset, common_offset, edge_spectra, offsets
from pix2pix.check.stats import pair_stats
from pix2pix.config import config_from_dict, load_config
from pix2pix.data.augment.apply import prepare, to_pixels
from pix2pix.data.dataset import open_split
from pix2pix.data.discovery.index import DatasetIndex
from pix2pix.data.formats.image_format import RGB
from pix2pix.data.loader import open_loader


def _checked(root, *more) -> tuple[int, dict]:
    """The exit code and the JSON; nothing is said elsewhere."""
    result = pix2pix("check", "--data", root, "--json", *more)
    assert result.err == ""
    return result.code, json.loads(result.out)


def _broken(root: Path) -> Path:
    """A data set with an error, a warning and a note."""
    write(root, clean("drawn")[:12])
    write(root, clean("drawn")[11:14], "val")
    (root / "train" / "input" / "003.bmp").write_bytes(b"BM, and no more")
    (root / "train" / "target" / "004.bmp").unlink()
    return root


def test_what_is_clean_is_ready(tmp_path):
    write(tmp_path, clean("drawn")[:8])
    write(tmp_path, clean("drawn")[8:10], "val")
    result = pix2pix("check", "--data", tmp_path, "--set", "data.image_size=128")
    assert result.code == 0 and result.err == ""
    source, *table, resources, end = result.out.splitlines()
    words = "image, 3 channels, 8-bit, 0 to 255"
    assert source == f"{tmp_path}: two-folders, input train/input, target train/target"
    assert [re.split(" {2,}", line.strip()) for line in table] == [
        ["split", "pairs", "size", "input", "target"],
        ["train", "8", "128x128", words, words],
        ["val", "2", "128x128", words, words],
    ]
    assert all(number in resources for number in ("7 levels", "44,597,700", "701.7 MiB", "960.0 KiB"))
    assert end == "No problems found."


def test_the_worst_comes_first_with_its_remedy_and_exit_code(tmp_path):
    result = pix2pix("check", "--data", _broken(tmp_path))
    assert result.code == 3 and result.err == ""
    lines = result.out.splitlines()
    starts = [line.split("]")[0] for line in lines if line.split()[0] in SEVERITIES]
    assert starts == ["error [unreadable", "error [unmatched", "warning [leak", "note [small"]
    assert f"    {tmp_path}/train/input/003.bmp: is not an image that can be read" in result.out
    assert lines[-1].startswith("2 errors, 1 warning, 1 note")
    assert len(lines) <= 40 and max(map(len, lines)) < 250


def test_training_fails_over_what_check_calls_an_error(tmp_path):
    _broken(tmp_path)
    (tmp_path / "train" / "input" / "004.bmp").unlink()  # what is unmatched is refused before anything is read
    refused(pix2pix("train", *TINY, "--set", "data.direction=null", "--data", tmp_path), 3, "003.bmp")
    assert _checked(tmp_path)[0] == 3


def test_what_is_wrong_in_a_split_that_training_never_reads_is_a_warning(tmp_path):
    pairs("data", "train", "val", "test", count=4, size=256)
    Path("data/test/1.png").write_bytes(b"")
    code, report = _checked("data")
    assert code == 0 and not report["fails"]
    assert [(one["code"], one["severity"]) for one in report["findings"] if one["code"] == "unreadable"] == [
        ("unreadable", "warning")
    ]
    Path("data/val/1.png").write_bytes(b"")
    assert _checked("data")[0] == 3


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
    code, report = _checked(manifest)
    assert (code, report["fails"]) == (trained.code, trained.code == 3), trained.err
    assert broken in [one["code"] for one in report["findings"]]


def test_nothing_is_said_twice(tmp_path):
    for number, side in enumerate(("a", "b")):
        save(tmp_path / f"sizes/train/{side}/0.png", noise(40 + 8 * number, 40))
        for split in ("train", "val"):
            save(tmp_path / f"stems/{split}/{side}/{side}.png", noise(40, 40, number))
            save(tmp_path / f"ways/{split}/{side}/0.png", noise(40, 40, number))
            save(tmp_path / f"ways/{side}/{split}/0.png", noise(40, 40, number))
    (found,) = [one for one in _checked(tmp_path / "sizes")[1]["findings"] if one["code"] == "unequal-size"]
    assert found["items"][0]["files"] == [f"{tmp_path}/sizes/train/a/0.png"]
    assert found["items"][0]["detail"].startswith("is 40x40 but ")
    code, report = _checked(tmp_path / "stems")
    assert (code, [one["code"] for one in report["findings"]]) == (3, ["unmatched"])
    code, report = _checked(tmp_path / "ways", "--set", "data.direction=b2a")
    assert (code, len(report["findings"])) == (3, 2)  # another text for each split
    (tmp_path / "ways/a").rename(tmp_path / "ways/c")
    (tmp_path / "ways/b").rename(tmp_path / "ways/d")
    for split in ("train", "val"):
        (tmp_path / f"ways/{split}/a").rename(tmp_path / f"ways/{split}/input")
        (tmp_path / f"ways/{split}/b").rename(tmp_path / f"ways/{split}/target")
    code, report = _checked(tmp_path / "ways", "--set", "data.direction=b2a")
    assert (code, [one["code"] for one in report["findings"]]) == (3, ["layout"])


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
    code, report = _checked(tmp_path, *more)
    found = [one for one in report["findings"] if one["code"] == "label-gaps"]
    assert code == 0 and len(found) == (remedy is not None)
    if remedy:
        assert ", ".join(map(str, ids)) in found[0]["message"] and remedy in found[0]["remedy"]
    _, report = _checked(tmp_path, *more, "--set", "data.target_format.classes=256")  # is asked for
    assert "label-gaps" not in {one["code"] for one in report["findings"]}


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
    code, report = _checked(tmp_path)
    found = [item["files"][0] for one in report["findings"] if one["code"] == "halves" for item in one["items"]]
    assert code == 0 and [Path(file).stem for file in found] == single


def test_a_few_files_that_decide_are_named_and_counted(tmp_path):
    for number in range(16):
        save(tmp_path / f"train/input/{number:02}.png", noise(40, 40, number)[..., : 1 if number else 3].squeeze())
        alpha = np.full((40, 40, 1), 255, np.uint8)
        target = noise(40, 40, number + 20)
        save(tmp_path / f"train/target/{number:02}.png", target if number != 3 else np.concatenate([target, alpha], 2))
    code, report = _checked(tmp_path)
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
    _, report = _checked(tmp_path, *(word for setting in chosen for word in ("--set", setting)))
    assert "few-decide" not in {one["code"] for one in report["findings"]}


def test_no_offset_is_looked_for_where_edges_cannot_be_told():
    sizes = [64, 40, 64]
    pictures = [(noise(size, 64, 1), noise(size, 64, 2)) for size in sizes]
    seen = pair_stats([("train", InMemory(str(index), *pair)) for index, pair in enumerate(pictures)], RGB)
    assert [one.offset is not None for one in seen] == [size >= 48 for size in sizes]


def test_json_says_what_the_screen_says(tmp_path):
    code, report = _checked(_broken(tmp_path))
    screen = pix2pix("check", "--data", tmp_path).out
    assert code == 3 and report["fails"]
    assert list(report) == ["data", "layout", "fails", "splits", "findings", "resources", "sheet"]
    assert report["splits"]["train"]["pairs"] == 11 and report["data"] == str(tmp_path)
    places = [screen.index(f"{one['severity']} [{one['code']}] ") for one in report["findings"]]
    assert places == sorted(places) and len(places) == screen.count("] ")
    flat = " ".join(screen.split())
    for one in report["findings"]:
        assert list(one) == ["code", "severity", "count", "message", "remedy", "items"]
        assert one["count"] == len(one["items"])
        assert f"{one['message']}; {one['remedy']}" in flat
        assert " ".join(one["items"][0]["files"][0].split()) in flat
    assert report["resources"]["levels"] == 8


def test_every_unmatched_name_is_in_the_json_and_ten_are_on_the_screen(tmp_path):
    for index in range(30):
        picture(tmp_path / "train" / "a" / f"{index:02}.png")
        picture(tmp_path / "train" / "b" / f"{index + 15:02}.png")
    code, report = _checked(tmp_path)
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
    code, report = _checked(tmp_path / "pairs.csv", "--set", "data.image_size=128")
    (found,) = [one for one in report["findings"] if one["severity"] != "note"]
    assert (code, found["code"], found["severity"], found["count"]) == (3, "missing", "error", 20)
    assert [Path(item["files"][0]).name for item in found["items"]] == [
        f"{index:02}{'ab'[index % 2]}.bmp" for index in range(20, 40)
    ]
    assert found["items"][0]["detail"] == f"{tmp_path / 'pairs.csv'}:22"
    assert {name: split["pairs"] for name, split in report["splits"].items()} == {"train": 20}
    refused(pix2pix("train", *TINY, "--set", "data.direction=null", "--data", tmp_path / "pairs.csv"), 3, "20 files")


def test_a_broken_file_does_not_decide_what_the_pictures_are(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:12]):
        depth = photograph.astype(np.float32) / 255
        depth[3, 5] = np.nan if index in (0, 4) else 0
        (tmp_path / "train" / "input").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "train" / "input" / f"{index:02}.npy", depth)
        save(tmp_path / "train" / "target" / f"{index:02}.png", labels)
    (tmp_path / "train" / "target" / "02.png").write_bytes(b"")
    code, report = _checked(tmp_path)
    found = {one["code"]: one["items"] for one in report["findings"] if one["severity"] == "error"}
    assert code == 3 and found.keys() == {"unreadable", "format"}
    assert [Path(item["files"][0]).name for item in found["format"]] == ["00.npy", "04.npy"]
    assert all("non-finite number at row 3, column 5" in item["detail"] for item in found["format"])
    assert report["splits"]["train"]["input"].startswith("image, 3 channels, float")


def test_what_cannot_be_trained_on_at_all_is_said_once(tmp_path):
    for index, (labels, _) in enumerate(clean("drawn")[:4]):
        (tmp_path / "train" / "input").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "train" / "input" / f"{index:02}.npy", labels.astype(np.int32))
        save(tmp_path / "train" / "target" / f"{index:02}.png", labels)
    code, report = _checked(tmp_path)
    assert code == 3 and [one["code"] for one in report["findings"]] == ["format", "no-validation"]
    assert "int32" in report["findings"][0]["message"] and "labels" in report["findings"][0]["remedy"]
    (tmp_path / "train" / "input" / "00.npy").write_bytes(b"")
    _, report = _checked(tmp_path)
    assert [one["code"] for one in report["findings"]] == ["unreadable", "format", "no-validation"]


def test_a_lonely_picture_is_listed_once_where_no_split_is_on_disk(tmp_path):
    for index in range(30):
        picture(tmp_path / "a" / f"{index:02}.png", seed=index)
        picture(tmp_path / "b" / f"{index:02}.png", seed=index + 50)
    picture(tmp_path / "b" / "more.png")
    _, report = _checked(tmp_path)
    (found,) = [one for one in report["findings"] if one["code"] == "unmatched"]
    assert found["count"] == 1 and set(report["splits"]) == {"train", "val"}


MISSING = [("nowhere",), ("nowhere", "--json"), ("nowhere", "--preview", "sheet.png")]


@pytest.mark.parametrize("words", MISSING)
def test_where_there_is_no_data_the_usual_line_says_so(words):
    refused(pix2pix("check", "--data", *words), 3, "nowhere: no such folder", "--data")
    assert not Path("sheet.png").exists()


def test_something_to_look_at_must_be_given():
    refused(pix2pix("check"), 2, "--data", "--config")
    refused(pix2pix("check", "--config", "facades", "--set", "data.flip=maybe"), 2, "data.flip")
    refused(pix2pix("check", "--data", "x", "--set", "data.image_size=250"), 2, "data.image_size")


def test_a_data_set_without_pictures_or_without_train(tmp_path):
    Path("empty/train").mkdir(parents=True)
    result = pix2pix("check", "--data", "empty")
    assert result.code == 3 and "error [layout] empty/train: " in result.out
    pairs("data", "val")
    code, report = _checked("data")
    assert code == 3 and report["findings"][0]["code"] == "layout"
    assert report["findings"][0]["message"].startswith("data/train: ")
    assert report["splits"]["val"]["pairs"] == 3


def test_a_config_is_checked_with_its_settings():
    result = pix2pix("check", "--config", "demo", "--set", "data.synthetic.train=12", "--json")
    report = json.loads(result.out)
    assert result.code == 0 and report["data"] == "drawn facades" and report["findings"] == []
    words = "image, 3 channels, 8-bit, 0 to 255"
    assert report["splits"]["train"] == {"pairs": 12, "size": "128x128", "input": words, "target": words}


def test_files_of_every_broken_kind_are_listed_with_their_reason_and_stop_nothing(tmp_path):
    write(tmp_path, clean("drawn")[:30])
    good = {}
    for suffix in ("png", "jpg", "webp", "gif", "tiff"):
        good[suffix] = save(tmp_path / f"good.{suffix}", smooth(40, 40)).read_bytes()
    kinds = [data[: len(data) // 2] for data in good.values()] + [data[:20] for data in good.values()]
    kinds += [b"", b"\0" * 1000, b"<html>not found</html>", b"\xff\xd8\xff" + noise(9, 9).tobytes(), b"RIFF1234WEBP"]
    for index, data in enumerate(kinds):
        (tmp_path / "train" / "target" / f"{index:03}.bmp").write_bytes(data)
    result = program("check", "--data", tmp_path, "--json")
    assert result.code == 3 and result.err == ""
    (found,) = [one for one in json.loads(result.out)["findings"] if one["code"] == "unreadable"]
    listed = {Path(item["files"][0]).stem: item["detail"] for item in found["items"]}
    assert list(listed) == [f"{index:03}" for index in range(len(kinds))] and all(listed.values())


def test_nothing_is_written_but_the_sheet(tmp_path):
    write(tmp_path / "data", clean("drawn")[:8])
    before = contents(tmp_path)
    pix2pix("check", "--data", tmp_path / "data", "--preview", tmp_path / "sheets" / "a.png")
    after = contents(tmp_path)
    assert after.keys() - before.keys() == {"sheets/a.png"}
    assert {name: after[name] for name in before} == before


def test_the_sheet_shows_pairs_as_training_draws_them(tmp_path):
    write(tmp_path / "data", clean("drawn")[:6])
    (tmp_path / "data" / "train" / "input" / "002.bmp").write_bytes(b"")  # shown are those that can be read
    settings = {"data.load_size": 72, "data.image_size": 64, "data.flip": "true", "data.augment.brightness": 0.5}
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    sheet = tmp_path / "sheet.png"
    assert pix2pix("check", "--data", tmp_path / "data", *flags, "--preview", sheet).code == 3
    with Image.open(sheet) as image:
        shown = np.asarray(image)
    assert shown.shape == (14 + 4 + 5 * 68, 4 + 4 * 68, 3)
    (tmp_path / "data" / "train" / "input" / "002.bmp").unlink()
    (tmp_path / "data" / "train" / "target" / "002.bmp").unlink()
    overrides = [f"{key}={value}" for key, value in settings.items()]
    config = config_from_dict({"data": {"root": str(tmp_path / "data")}}, "test", overrides)
    data = config.data.model_copy(update={"batch_size": 1, "workers": 0})
    loader = open_loader(data, open_split(data, "train", data.load), config.run.seed)
    for epoch in (0, 1):
        for batch in loader.epoch(epoch):
            for side, images in enumerate(prepare(batch, "cpu", data.augment, data.crop)):
                top, left = 14 + 4 + 68 * int(batch["index"]), 4 + 68 * (2 * epoch + side)
                pixels = to_pixels(images)[0].permute(1, 2, 0).numpy()
                np.testing.assert_array_equal(shown[top : top + 64, left : left + 64], pixels)


def test_without_a_pair_to_read_there_is_a_report_and_no_sheet(tmp_path):
    write(tmp_path / "data", clean("drawn")[:2])
    for path in (tmp_path / "data" / "train" / "input").iterdir():
        path.write_bytes(b"")
    code, report = _checked(tmp_path / "data", "--preview", tmp_path / "a.png")
    assert code == 3 and report["sheet"] is None and not (tmp_path / "a.png").exists()
    assert [one["code"] for one in report["findings"]] == ["unreadable", "no-validation"]
    assert report["splits"]["train"]["size"] == "none readable"


def test_stacked_inputs_are_looked_at_each(tmp_path):
    for index, (labels, photograph) in enumerate(clean("drawn")[:20]):
        save(tmp_path / "edges" / f"{index:02}.png", labels)
        (tmp_path / "depth").mkdir(exist_ok=True)
        np.save(tmp_path / "depth" / f"{index:02}.npy", np.full((128, 128), 0.5 if index == 7 else 0, np.float32))
        if index != 7:
            np.save(tmp_path / "depth" / f"{index:02}.npy", photograph[..., 0].astype(np.float32) / 255)
        save(tmp_path / "photo" / f"{index:02}.png", photograph)
    flags = ["--set", "data.input=[edges,depth]", "--set", "data.target=photo", "--preview", tmp_path / "sheet.png"]
    code, report = _checked(tmp_path, *flags, "--set", "data.image_size=128")
    (found,) = [one for one in report["findings"] if one["severity"] != "note"]
    assert code == 0 and found["code"] == "constant"
    assert [item["files"] for item in found["items"]] == [[str(tmp_path / "depth" / "07.npy")]]
    assert "image, 1 channel, float, 0 to 1" in report["splits"]["train"]["input"]
    with Image.open(report["sheet"]) as sheet:
        assert sheet.size == (4 + 6 * 132, 14 + 4 + 6 * 132)


def test_a_sheet_that_cannot_be_written_says_so(tmp_path):
    write(tmp_path / "data", clean("drawn")[:2])
    (tmp_path / "file").write_bytes(b"")
    refused(pix2pix("check", "--data", tmp_path / "data", "--preview", tmp_path / "file" / "a.png"), 4, "file")
    refused(pix2pix("check", "--data", tmp_path / "data", "--preview", tmp_path / "a.txt"), 2, "a.txt", ".png")


def test_severities_are_those_that_are_documented(tmp_path):
    assert set(CODES.values()) == set(SEVERITIES)
    page = (Path(__file__).parents[2] / "docs" / "your-own-pairs.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []


# The parts


def test_scanning_alone_refuses_what_check_reports(tmp_path):
    _broken(tmp_path)
    with pytest.raises(Exception, match="1 without a partner"):
        DatasetIndex.scan(load_config("facades", [f"data.root={tmp_path}", "data.direction=null"]).data).pairs(
            "train", (32, 32)
        )


def _greys(*pictures: np.ndarray) -> np.ndarray:
    images = [Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for pixels in pictures]
    return np.array([np.asarray(image) for image in images], np.float32)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (6, 0), (0, -12), (-8, 10), (16, 16)])
def test_an_offset_is_what_the_target_must_be_moved_by(down, right):
    input, target = clean("drawn")[3]
    spectra, shares = edge_spectra(_greys(input, shifted(target, down, right)))
    (found,) = offsets(spectra[:1], spectra[1:], shares[:1])
    assert found.down * 128 == pytest.approx(-down, abs=1.4)
    assert found.right * 128 == pytest.approx(-right, abs=1.4)
    assert found.is_clear and found.is_wrong == bool(down or right)
    assert common_offset([found] * 5) == (None if not (down or right) else (found.down, found.right))
    assert common_offset([found] * 4) is None


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (Offset(0.1, 0.0, 9.0, 4.0, 0.4), True),
        (Offset(0.02, 0.0, 9.0, 4.0, 0.4), False),  # near
        (Offset(0.1, 0.0, 6.0, 4.0, 0.4), False),  # faint
        (Offset(0.1, 0.0, 9.0, 2.0, 0.4), False),  # no offset at all explains it nearly as well
        (Offset(0.1, 0.0, 9.0, 4.0, 0.1), False),  # from too few edges
    ],
)
def test_an_offset_is_wrong_only_where_all_speaks_for_it(found, wrong):
    assert found.is_wrong == wrong


def test_likeness_is_of_the_pixels_and_the_size():
    pixels = clean("drawn")[0][1]
    other = pixels.copy()
    other[50, 50, 2] ^= 1
    digests = {checksum(some) for some in (pixels, other, pixels.reshape(64, 256, 3), pixels.copy())}
    assert len(digests) == 3


def test_near_duplicates_need_a_partner_that_agrees():
    greys = _greys(*(side for pair in clean("drawn")[:6] for side in pair))
    likeness = [Likeness(index, *some) for index, some in enumerate(zip(hashes(greys), thumbnails(greys), strict=True))]
    some = [(likeness[2 * i + 1], likeness[2 * i]) for i in range(6)]
    assert list(near_duplicates(some, some)) == [(i, i) for i in range(6)]
    assert list(near_duplicates(some[:3], some[3:])) == []
    assert list(near_duplicates([(some[0][0], some[1][1])], some)) == []


def test_the_hash_is_the_signs_of_low_frequencies():
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    wave = 100 + 50 * np.cos(np.pi * 2 * rows / SIDE) * np.cos(np.pi * 3 * columns / SIDE)
    (bits,) = hashes(wave[None].astype(np.float32))
    assert np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(8, 8)[[0, 2], [0, 3]].tolist() == [1, 1]
    (thumb,) = thumbnails(np.full((1, SIDE, SIDE), 37, np.float32))
    assert thumb == bytes([37]) * 256


def test_sizes_below_load_size_are_a_note(tmp_path):
    write(tmp_path, clean("drawn")[:8])
    (found,) = [one for one in look(tmp_path, load_size=143).findings if one.code == "small"]
    assert found.severity == "note" and found.count == 8 and "143x143" in found.message
    assert not [one for one in look(tmp_path, load_size=128).findings if one.code == "small"]
