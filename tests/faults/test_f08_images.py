"""300 malformed images of more than 25 kinds: each is refused by name and reason, and none takes the process down."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import TINY, overrides, pix2pix, refused
from making import SHARED, noise, png, save
from malformed import KINDS, NO_FILES, make_malformed

from pix2pix.data.images.files import read_image, read_info
from pix2pix.errors import DataError

ODD = SHARED / "data/odd"
READ_ALL = """
import sys
from pathlib import Path
from pix2pix.data.images.files import read_image
from pix2pix.errors import DataError
refused, read = 0, 0
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_image(path)
        read += 1
    except DataError:
        refused += 1
print(refused, read)
"""


@pytest.fixture(scope="module")
def malformed(tmp_path_factory) -> list[tuple[Path, str]]:
    return make_malformed(tmp_path_factory.mktemp("malformed") / "images")


def test_they_are_300_of_many_kinds_and_the_same_from_the_same_seed(malformed, tmp_path):
    assert len(malformed) == 300 and len({kind for _, kind in malformed}) == len(KINDS) + len(NO_FILES) >= 25
    again = make_malformed(tmp_path / "images", count=120)
    for (path, kind), (other, same) in zip(malformed, again, strict=False):
        assert kind == same and (kind in NO_FILES or path.read_bytes() == other.read_bytes())


def test_each_is_refused_with_its_name_and_a_reason(malformed):
    accepted, slow = [], []
    for path, kind in malformed:
        started = time.process_time()
        try:
            read_image(path)
            accepted.append(kind)
        except DataError as error:
            said = str(error)
            assert said.startswith(f"{path}: ") and "\n" not in said and ";" in said, kind
            assert "()" not in said, kind
        try:
            header = read_info(path)
            assert min(header.size) > 0 and header.channels > 0, kind
        except DataError as error:
            assert str(error).startswith(f"{path}: "), kind
        if time.process_time() - started > 2:
            slow.append(kind)
    assert (accepted, slow) == ([], [])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_no_flipped_bit_of_a_png_passes_unseen(tmp_path, dtype):
    """Either the file is refused or its pixels are right: gradients, in which Pillow alone misses one."""
    rows, columns = np.mgrid[0:24, 0:24].astype(dtype)
    path = png(tmp_path / "x.png", np.stack([5 * rows, 5 * columns, rows], 2))
    data, want = path.read_bytes(), read_image(path).pixels
    for bit in range(0, 8 * len(data), 1 if dtype == "uint8" else 7):
        path.write_bytes(data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :])
        try:
            got = read_image(path).pixels
        except DataError:
            continue
        np.testing.assert_array_equal(got, want, f"bit {bit}", strict=True)


def test_good_ones_among_them_are_read(malformed, tmp_path):
    good = save(tmp_path / "good.png", noise(20, 20))
    for path, _ in malformed[: len(KINDS) + len(NO_FILES)]:
        with pytest.raises(DataError):
            read_image(path)
        np.testing.assert_array_equal(read_image(good).pixels, noise(20, 20))


def test_training_refuses_them_at_the_start_or_leaves_them_out_and_counts(malformed):
    for index, (path, kind) in enumerate(malformed[: len(KINDS)]):
        if kind not in NO_FILES:
            for side, image in (("a", path), ("b", save(Path("good.png"), noise(32, 32)))):
                name = Path(f"data/train/{side}/bad{index:03}{image.suffix}")
                name.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(image, name)
    bad = sorted(str(path) for path in Path("data/train/a").iterdir())
    for index in range(4):
        for side in "ab":
            save(Path(f"data/train/{side}/good{index}.png"), noise(32, 32, index))
    settings = {
        "data.layout": "auto",
        "data.direction": None,
        "data.root": "data",
        "data.val_fraction": 0,
        "schedule.epochs": 1,
    }
    command = ("train", *TINY, *overrides(settings), "--output", "run")
    for cache in ("auto", "off"):
        refused(pix2pix(*command, "--set", f"data.cache={cache}"), 3, "data/train/a/bad")
    assert not Path("run/gen.pt").exists()
    result = pix2pix(*command, "--set", "data.skip_broken=true")
    assert result.code == 0, result.err
    assert "auto" not in result.out and "4 pairs to train on" in result.out and "= 2 steps" in result.out
    assert f"{len(bad)} that cannot be read: {bad[0]}: " in result.out and f"and {len(bad) - 10} more" in result.out


def _unreadable(*arguments: object) -> dict[str, str]:
    """What `pix2pix check` says cannot be read: reasons by file."""
    result = pix2pix("check", *arguments, "--json")
    assert result.err == "" and result.code in (0, 3)
    found = [f for f in json.loads(result.out)["findings"] if f["code"] == "unreadable"]
    return {file: item["detail"] for finding in found for item in finding["items"] for file in item["files"]}


def test_check_lists_each_with_path_and_reason(malformed):
    """All that a folder lists as files: folders and dangling links of such names are partners that are missing."""
    bad = [path for path, _ in malformed if path.is_file()]
    assert len(bad) > 250
    names = {}
    for index, path in enumerate(bad):
        names[index] = Path(f"data/train/a/{index:03}{path.suffix}")
        names[index].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, names[index])
        save(Path(f"data/train/b/{index:03}.png"), noise(32, 32, index))
    for side in "ab":
        save(Path(f"data/train/{side}/good.png"), noise(32, 32, 999))
    reasons = _unreadable("--data", "data")
    assert reasons.keys() == {str(path) for path in names.values()}
    assert all(reasons.values()) and pix2pix("check", "--data", "data").code == 3
    assert pix2pix("check", "--data", "data", "--set", "data.skip_broken=true").code == 0  # training would do


@pytest.mark.skipif(not ODD.is_dir(), reason=f"{ODD} is not here")
def test_check_judges_every_real_odd_file_as_its_manifest_does():
    lines = [line.split("\t") for line in (ODD / "MANIFEST.tsv").read_text().splitlines()]
    for index, (name, *_) in enumerate(lines):
        for side in "ab":  # each is its own partner
            path = Path(f"data/train/{side}/{index:02}{Path(name).suffix}")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ODD / name, path)
    bad = {index for index, line in enumerate(lines) if "FAILS" in line[2]}
    assert len(lines) == 65 and len(bad) == 9
    reasons = _unreadable("--data", "data", "--set", "data.layout=two-folders")
    assert {int(Path(file).stem) for file in reasons} == bad and all(reasons.values())


def test_a_process_outlives_them(malformed):
    folder = malformed[0][0].parent
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ_ALL, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.split()) == (0, ["300", "0"]), done.stderr
    assert "Traceback" not in done.stderr
