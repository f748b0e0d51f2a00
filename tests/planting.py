"""Data sets with planted problems, for the tests of `pix2pix check`."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from commands import pix2pix
from making import SHARED, save
from PIL import Image

from pix2pix.check import Report, check
from pix2pix.check.findings import Finding
from pix2pix.check.registration import SIDE
from pix2pix.check.rules import pair_findings
from pix2pix.check.stats import pair_stats
from pix2pix.config import DataConfig, config_from_dict
from pix2pix.data.formats.image_format import RGB
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.files import read_image
from pix2pix.datasets.synthetic.draw import PALETTE, draw_pair

Images = tuple[np.ndarray, np.ndarray]
COUNT = 60
FACADES = SHARED / "data" / "facades"


@cache
def clean(source: str) -> tuple[Images, ...]:
    """Return (input, target) of 60 pairs: labels and photographs, drawn or real; read only."""
    if source == "drawn":
        return tuple(draw_pair(index, size=(128, 128))[::-1] for index in range(COUNT))
    if not FACADES.is_dir():
        pytest.skip("needs the real facades, which only developers have")
    both = [read_image(FACADES / "train" / f"{index}.jpg").pixels for index in range(1, COUNT + 1)]
    return tuple((image[:, 256:], image[:, :256]) for image in both)


@dataclass(frozen=True)
class InMemory:
    """A pair in memory, without files."""

    name: str
    input: np.ndarray
    target: np.ndarray
    files: tuple[Path, ...] = ()

    @property
    def names(self) -> tuple[str, str]:
        return self.name, self.name

    def images(self) -> list[DecodedImage]:
        return [DecodedImage(self.input), DecodedImage(self.target)]


def judge(pairs: Sequence[Images], size: int = 64) -> list[Finding]:
    """Return the findings about pairs in memory, all of them in the training split."""
    places = [("train", InMemory(str(index), *pair)) for index, pair in enumerate(pairs)]
    data = DataConfig(root="x", image_size=size)
    return pair_findings(data, pair_stats(places, RGB), ["train"], RGB)


def write(root: Path, pairs: Sequence[Images], split: str = "train", start: int = 0) -> None:
    """Write pairs as two folders of lossless files, `input` and `target`; names are numbers from `start`."""
    for index, sides in enumerate(pairs, start):
        for side, pixels in zip(("input", "target"), sides, strict=True):
            save(root / split / side / f"{index:03}.bmp", pixels)


def look(root: Path, **data) -> Report:
    """Check a folder, both sides of which are images unless `data` says otherwise."""
    images = {f"{side}_format": {"kind": "image"} for side in ("input", "target")}
    data = {"root": str(root), "image_size": 128, "val_fraction": 0, **images, **data}
    return check(config_from_dict({"data": data}, "test"))


def named(report: Report, code: str) -> set[str]:
    """Return the files of a finding by split and name, such as `train/007`; all other findings must be notes."""
    others = {one.code for one in report.findings if one.severity != "note"} - {code}
    assert not others, others
    return {
        f"{Path(file).parts[-3]}/{Path(file).stem}"
        for one in report.findings
        if one.code == code
        for item in one.items
        for file in item.files
    }


def shifted(pixels: np.ndarray, down: int, right: int) -> np.ndarray:
    """Move an image; its border pixels are repeated."""
    height, width = pixels.shape[:2]
    rows, columns = (np.arange(side) - by for side, by in ((height, down), (width, right)))
    return pixels[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    size = [round(side * factor) for side in pixels.shape[1::-1]]
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def brighter(pixels: np.ndarray, factor: float) -> np.ndarray:
    return (pixels * factor).clip(0, 255).astype(np.uint8)


NO_VALIDATION = ("--set", "data.val_fraction=0")


def checked(root, *more) -> tuple[int, dict]:
    """Return the exit code and the JSON of a check that prints nothing to stderr."""
    result = pix2pix("check", "--data", root, "--json", *more)
    assert result.err == ""
    return result.code, json.loads(result.out)


def broken_set(root: Path) -> Path:
    """Write a data set with an error, a warning and a note."""
    write(root, clean("drawn")[:12])
    write(root, clean("drawn")[11:14], "val")
    (root / "train" / "input" / "003.bmp").write_bytes(b"BM, and no more")
    (root / "train" / "target" / "004.bmp").unlink()
    return root


def grey_copies(*arrays: np.ndarray) -> np.ndarray:
    images = [Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for pixels in arrays]
    return np.array([np.asarray(image) for image in images], np.float32)


PLANTED, ENOUGH = 20, 18


SOURCES = pytest.mark.parametrize("source", ["drawn", "facades"])


def numbers(split: str, some) -> set[str]:
    return {f"{split}/{number:03}" for number in some}


def codes(pairs) -> set[str]:
    """Return the codes of the findings about pairs in memory."""
    return {one.code for one in judge(pairs)}


def classes(pixels: np.ndarray) -> np.ndarray:
    """Return the class of each pixel of a drawn label map: uint8 [H, W]."""
    return (pixels[:, :, None] == PALETTE).all(-1).argmax(-1).astype(np.uint8)


def write_ids(root, pairs, change) -> None:
    """Write label maps as ids, after `change(index, ids)`, and their photographs."""
    for index, (labels, photograph) in enumerate(pairs):
        save(root / "train" / "input" / f"{index:03}.png", change(index, classes(labels)))
        save(root / "train" / "target" / f"{index:03}.png", photograph)
