"""The report: its screen, its JSON, and the documented codes."""

from pathlib import Path

from commands import pix2pix
from planting import broken_set, checked

from pix2pix.check.findings import CODES, SEVERITIES


def test_the_json_equals_the_screen(tmp_path):
    code, report = checked(broken_set(tmp_path))
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


def test_severities_are_those_that_are_documented(tmp_path):
    assert set(CODES.values()) == set(SEVERITIES)
    page = (Path(__file__).parents[2] / "docs" / "your-own-pairs.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []
