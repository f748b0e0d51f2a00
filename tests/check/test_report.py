"""The report: its screen, its JSON, and the documented codes."""

from pathlib import Path

from commands import pix2pix
from planting import broken_set, checked, clean, write

from pix2pix.check import check
from pix2pix.check.findings import CODES, SEVERITIES
from pix2pix.config import config_from_dict


def test_the_json_equals_the_screen(tmp_path):
    code, report = checked(broken_set(tmp_path))
    screen = pix2pix("check", "--data", tmp_path).out
    assert code == 3 and report["fails"]
    assert list(report) == [
        "data",
        "layout",
        "fails",
        "splits",
        "findings",
        "resources",
        "sheet",
        "notes",
        "skipped_files",
    ]
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


def test_severities_are_those_that_are_documented(tmp_path):
    assert set(CODES.values()) == set(SEVERITIES)
    page = (Path(__file__).parents[2] / "docs" / "your-own-pairs.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []


def test_the_screen_keeps_to_the_terminal_and_a_file_gets_everything(tmp_path):
    root = tmp_path / ("long" * 30)
    broken_set(root)
    report = check(config_from_dict({"data": {"root": str(root)}}, "test"))
    for width in (40, 80, 200):
        lines = report.to_text(width).splitlines()
        assert max(map(len, lines)) <= width
        assert sum(one.severity in line for one in report.findings for line in lines)
    item = str(report.findings[0].items[0])
    assert item in str(report)
    assert any(line.endswith(item[-20:]) and "..." in line for line in report.to_text(80).splitlines())


def test_a_limit_reads_so_many_pairs_of_each_split(tmp_path):
    write(tmp_path, clean("drawn")[:9])
    write(tmp_path, clean("drawn")[9:18], "val")
    (tmp_path / "train/input/004.bmp").write_bytes(b"broken, and in the middle")
    images = ("--set", "data.input_format.kind=image")  # the drawn pairs of train lack a class
    code, report = checked(tmp_path, *images, "--limit", "2")
    assert code == 0 and {(split["pairs"], split["total"]) for split in report["splits"].values()} == {(2, 9)}
    code, report = checked(tmp_path, *images, "--limit", "3")
    assert code == 3 and report["splits"]["train"]["pairs"] == 3
    assert "total" not in checked(tmp_path, *images, "--limit", "9")[1]["splits"]["train"]
    assert pix2pix("check", "--data", tmp_path, "--limit", "0").code == 2
