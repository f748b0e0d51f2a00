"""Label maps in the colours of the published data sets are recognized, and other images are not."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from making import noise, save
from planting import FACADES, Images, classes, clean, look, write

from pix2pix.check import check
from pix2pix.check.findings import Finding
from pix2pix.config import config_from_dict
from pix2pix.datasets.catalogue import CITYSCAPES_LABELS, FACADES_LABELS, known_palettes

PAGE = Path(__file__).parents[2] / "docs" / "your-own-pairs.md"


def write_jpeg(root: Path, pairs: list[Images]) -> None:
    for index, sides in enumerate(pairs):
        for side, pixels in zip(("input", "target"), sides, strict=True):
            save(root / "train" / side / f"{index}.jpg", pixels, quality=95)


def recoloured(palette: tuple[tuple[int, int, int], ...]) -> list[Images]:
    """Eight drawn pairs whose label maps have other colours for the same classes."""
    return [(np.array(palette, np.uint8)[classes(labels)], photograph) for labels, photograph in clean("drawn")[:8]]


def known(root: Path, **data) -> list[Finding]:
    return [one for one in look(root, **data).findings if one.code == "known-colours"]


@pytest.mark.parametrize(
    ("palette", "name"),
    [
        (FACADES_LABELS.archived, "the facades archive"),
        (FACADES_LABELS.palette, "CMP Facades and the drawn facades"),
        (CITYSCAPES_LABELS.palette[7:19], "Cityscapes"),
    ],
    ids=["archive", "cmp", "cityscapes"],
)
def test_label_colours_in_jpeg_are_recognized(tmp_path, palette, name):
    write_jpeg(tmp_path, recoloured(palette))
    (found,) = known(tmp_path)
    assert found.severity == "note" and found.count == 8
    assert name in found.message and "data.input_format" in found.remedy
    heading = re.search('"(.*)"', found.remedy)[1]
    assert f"## {heading}\n" in PAGE.read_text(encoding="utf-8")


def test_targets_are_recognized_too(tmp_path):
    write_jpeg(tmp_path, [pair[::-1] for pair in clean("drawn")[:8]])
    (found,) = known(tmp_path)
    assert "data.target_format" in found.remedy


def test_labels_are_not_reported_where_the_config_has_the_palette(tmp_path):
    write_jpeg(tmp_path, recoloured(FACADES_LABELS.archived))
    palette = [list(colour) for colour in FACADES_LABELS.archived]
    assert known(tmp_path, input_format={"kind": "labels", "palette": palette}) == []


@pytest.mark.parametrize("source", ["drawn", "facades", "noise"])
def test_photographs_are_not_recognized(tmp_path, source):
    photographs = [noise(64, 64, seed) for seed in range(16)]
    if source != "noise":
        photographs = [target for _, target in clean(source)[:16]]
    write_jpeg(tmp_path, list(zip(photographs[::2], photographs[1::2], strict=True)))
    assert known(tmp_path) == []


def test_other_palettes_and_few_colours_are_not_recognized(tmp_path):
    other = tuple((value, 90, 255 - value) for value in range(20, 240, 19))
    write_jpeg(tmp_path / "other", recoloured(other))
    edges = [((0, 0, 0), (255, 255, 255), (255, 0, 0))[index % 3] for index in range(12)]
    write_jpeg(tmp_path / "edges", recoloured(tuple(edges)))
    assert known(tmp_path / "other") == known(tmp_path / "edges") == []


def test_files_without_loss_are_recognized_and_drawn_pairs_are_not(tmp_path):
    write(tmp_path, clean("drawn")[:8])
    assert len(known(tmp_path)) == 1
    drawn = {"layout": "synthetic", "synthetic": {"train": 8, "val": 2}}
    report = check(config_from_dict({"data": drawn}, "test"))
    assert "known-colours" not in {one.code for one in report.findings}


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the real facades, which only developers have")
def test_the_facades_have_the_colours_of_the_archive():
    report = look(FACADES)
    (found,) = [one for one in report.findings if one.code == "known-colours"]
    assert "the facades archive" in found.message and "data.target_format" in found.remedy
    assert {one.severity for one in report.findings} == {"note"}


def test_the_palettes_of_the_page_are_those_of_the_catalogue():
    _, section = PAGE.read_text(encoding="utf-8").split("## Label colours of published data sets\n")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", section.split("\n## ")[0], re.MULTILINE | re.DOTALL)
    formats = [yaml.safe_load(block)["data"]["input_format"] for block in blocks]  # test_docs.py loads them as configs
    shown = [tuple(tuple(colour) for colour in one["palette"]) for one in formats]
    assert shown == list(known_palettes().values()) and {one["kind"] for one in formats} == {"labels"}
