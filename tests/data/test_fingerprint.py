"""What identifies the data of a run: names, sizes, a sample of the content, and formats."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from making import png
from runs import after, make_config

from pix2pix import Trainer
from pix2pix.data.fingerprint import SAMPLE, SAMPLE_BYTES, Fingerprint, cache_key, content_digest, fingerprint
from pix2pix.data.pairs import SideBySidePair
from pix2pix.errors import CheckpointError, DataError
from pix2pix.training import checkpointer as keeping
from pix2pix.training.checkpoint_io import load_newest
from pix2pix.training.resume import check_environment


def replace_keeping_time(path: Path, content: bytes) -> None:
    """Writes other content of the same size, with the time of the old one."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def files(folder: Path, count: int, size: int = 100) -> list[SideBySidePair]:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03d}.png").write_bytes(bytes([number]) * size)
    return [SideBySidePair(path.stem, path, "a2b") for path in sorted(folder.iterdir())]


def test_content_is_noticed_with_size_and_time_kept(tmp_path):
    pairs = files(tmp_path / "data", 3)
    before, key = fingerprint(pairs), cache_key(pairs, "recipe")
    replace_keeping_time(pairs[1].path, b"x" * 100)
    now = fingerprint(pairs)
    assert (now.pairs, now.names) == (3, before.names) and now.content != before.content
    assert before.difference(now) == "their content"
    assert cache_key(pairs, "recipe") != key


def test_the_place_and_the_time_do_not_matter_and_the_order_does(tmp_path):
    pairs = files(tmp_path / "data", 3)
    shutil.copytree(tmp_path / "data", tmp_path / "copy", copy_function=shutil.copyfile)
    copied = [SideBySidePair(pair.name, tmp_path / "copy" / pair.path.name, "a2b") for pair in pairs]
    assert fingerprint(copied) == fingerprint(pairs)
    assert content_digest(pairs[::-1]) != content_digest(pairs)


def test_64_files_spread_evenly_are_read(tmp_path):
    pairs = files(tmp_path / "data", 2 * SAMPLE)
    noticed = []
    for pair in pairs:
        content, before = pair.path.read_bytes(), content_digest(pairs)
        replace_keeping_time(pair.path, b"\xff" * len(content))
        noticed.append(content_digest(pairs) != before)
        pair.path.write_bytes(content)
    assert sum(noticed) == SAMPLE and noticed[0] and noticed[-1]
    assert all(any(noticed[start : start + 3]) for start in range(len(noticed) - 2))


@pytest.mark.parametrize(("place", "noticed"), [(0, True), (SAMPLE_BYTES, False), (-1, True)])
def test_both_ends_of_a_large_file_are_read(tmp_path, place, noticed):
    (pair,) = files(tmp_path / "data", 1, 2 * SAMPLE_BYTES)
    before, content = content_digest([pair]), bytearray(pair.path.read_bytes())
    content[place] ^= 255
    pair.path.write_bytes(content)
    assert (content_digest([pair]) != before) == noticed


def test_a_file_that_is_gone_is_named(tmp_path):
    (pair,) = files(tmp_path / "data", 1)
    pair.path.unlink()
    with pytest.raises(DataError, match=r"000\.png: cannot be read \(No such file or directory\); fix or remove it"):
        content_digest([pair])


def test_the_string_of_older_checkpoints_is_read():
    now = Fingerprint(12, "ab" * 16, "cd" * 16)
    assert Fingerprint.from_saved(now.to_dict()) == now and Fingerprint.from_saved(None) is None
    old = Fingerprint.from_saved(f"12 pairs {'ab' * 16}")
    assert old == Fingerprint(12, "ab" * 16, None) and old.difference(now) is None
    assert Fingerprint.from_saved(f"11 pairs {'ab' * 16}").difference(now) == "their names and sizes"
    for odd in ("12 pairs", "x pairs ab", {"pairs": 0, "names": ""}, {"pairs": 2.0, "names": ""}):
        with pytest.raises((TypeError, ValueError)):
            Fingerprint.from_saved(odd)


def deep_pairs(root: Path) -> None:
    """Pairs of 16-bit files whose values need 10 bits; written again, they differ in nothing but their time."""
    for split, count in (("train", 5), ("val", 2)):
        (root / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 1024, (32, 64), np.uint16)
            png(root / split / f"{number}.png", noise)


def deep_config(folder: Path):
    data = {"layout": "auto", "root": str(folder / "data"), "load_size": 32, "cache": "off"}
    return make_config(folder / "run", data=data)


def brighten(path: Path) -> None:
    """One pixel of the last pair becomes 60000."""
    noise = np.random.default_rng(4).integers(0, 1024, (32, 64), np.uint16)
    noise[3, 3] = 60000
    png(path, noise)


def test_other_formats_are_refused_by_their_field(tmp_path, log):
    deep_pairs(tmp_path / "data")
    trainer = Trainer(deep_config(tmp_path))
    assert not trainer.fit(stop=after(trainer, 2)) and trainer.formats.target.range == (0.0, 1023.0)
    old = load_newest(tmp_path / "run/checkpoints", torch.device("cpu"))["surroundings"]
    formats = old["forms"]
    wider = {**formats, "target": formats["target"] | {"range": (0.0, 65535.0), "suffix": ".tif"}}
    new = old | {"forms": wider}
    words = r"the format of the target has changed: range was \(0.0, 1023.0\), now \(0.0, 65535.0\); restore the data"
    with pytest.raises(DataError, match=words):
        check_environment(tmp_path, old, new, [])
    log()
    check_environment(tmp_path, old, new, ["data"])
    said = log()
    assert "\n" not in said and "now (0.0, 65535.0) (allowed by --allow-changed)" in said  # not of the suffix
    check_environment(tmp_path, {key: old[key] for key in old if key != "forms"}, new, [])  # of an older version
    with pytest.raises(DataError, match="the number of inputs was 1, now 2"):
        check_environment(tmp_path, old, old | {"forms": {**formats, "input": formats["input"] * 2}}, [])


def test_one_bright_pixel_does_not_change_the_range_in_silence(tmp_path):
    deep_pairs(tmp_path / "data")
    trainer = Trainer(deep_config(tmp_path))
    trainer.fit(stop=after(trainer, 2))
    brighten(tmp_path / "data/train/4.png")
    again = Trainer(deep_config(tmp_path))
    with pytest.raises(DataError, match="the train data have changed: 5 pairs then, 5 pairs now"):
        again.fit()
    assert again.formats.target.range == (0.0, 65535.0)
    deep_pairs(tmp_path / "data")
    assert Trainer(deep_config(tmp_path)).fit()


@pytest.mark.parametrize(
    "change",
    [
        {"samples_seen": float("nan")},
        {"samples_seen": 4.0},
        {"samples_seen": 0},
        {"step": True},
        {"step": -1},
        {"best": float("nan")},
        {"best": -1.0},
        {"best_step": 99},
        {"window": {"sums": {"g/l1": float("inf")}, "count": 1}},
        {"window": []},
        {"surroundings": {"data": {}}},
        {"surroundings": {"data": {"train": "many pairs ab"}}},
    ],
    ids=str,
)
def test_progress_that_no_run_can_have_made_is_refused(tmp_path, monkeypatch, change):
    trainer = Trainer(make_config(tmp_path / "run"))
    trainer.fit(stop=after(trainer, 2))
    state = load_newest(tmp_path / "run/checkpoints", torch.device("cpu"))
    monkeypatch.setattr(keeping, "load_newest", lambda *_: state | change)
    with pytest.raises(CheckpointError, match=f"{tmp_path}/run/checkpoints: "):
        Trainer(make_config(tmp_path / "run")).fit()
