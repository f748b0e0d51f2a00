"""Rows F30 to F32: settings and disks that fail pictures, data that change between runs, odd metrics and manifests."""

import errno
import os
import shutil
import sys
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import numpy as np
from harness import Outcome, as_uninterrupted, finish, newest, training
from making import noise, png, save_halves

from pix2pix.training import evaluator, metrics
from pix2pix.training.checkpoint_io import list_checkpoints

_SMALL = {"schedule__epochs": 2, "data__synthetic__train": 3, "data__synthetic__val": 1, "schedule__decay_epochs": 0}
_WARNED = "the loss plot failed, and training continues without it: "


def _settings(backend: str | None = None, rc: bytes = b"", **environment: str) -> Callable[[Path, list[str]], None]:
    """Has matplotlib meet such settings: its backend, its matplotlibrc in the current folder, and variables.

    It reads them when it is imported, so the command is run in a new process.
    """

    def before(folder: Path, command: list[str]) -> None:
        (folder / "matplotlibrc").write_bytes(rc)
        os.chdir(folder)
        os.environ.update(environment | ({"MPLBACKEND": backend} if backend else {}))
        os.execv(sys.executable, [sys.executable, "-m", "pix2pix", *command])

    return before


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full_disk(*_: object) -> None:
    """Neither the plot nor the grid can be written."""
    evaluator.PLOT_SECONDS = 0  # after each epoch, and yet reported once
    metrics.replace_atomically = _no_room_for_the_plot
    evaluator.write_sample_grid = _no_room


def _no_room_for_the_plot(path: Path, write: Callable[[Path], None], put=metrics.replace_atomically) -> None:
    if path.suffix == ".png":
        _no_room()
    put(path, write)


def _gone_terminal(*_: object) -> None:
    """A terminal for both streams, which is closed at once: every line and the progress bar fail with EIO."""
    reading, terminal = os.openpty()
    for stream in (1, 2):
        os.dup2(terminal, stream)
    os.close(terminal), os.close(reading)


def _closed_pipe(*_: object) -> None:
    reading, pipe = os.pipe()
    for stream in (1, 2):
        os.dup2(pipe, stream)
    os.close(pipe), os.close(reading)


# What is broken, what must be said of it, and whether there is a loss plot all the same.
_BROKEN_PICTURES: list[tuple[Callable[[Path, list[str]], None], str, bool]] = [
    (_settings("module://matplotlib_inline.backend_inline"), "", True),
    (_settings("nonsense"), "", True),
    (_settings(rc=b"text.usetex: True"), "", True),
    (_settings(rc=b"no colon\nfigure.dpi: banana\nbackend: nonsense"), "", True),
    (_settings(rc=b"\xff\xfe\0 not text"), _WARNED, False),
    (_settings(MPLCONFIGDIR="/dev/null/none"), "", True),
    (_full_disk, _WARNED + "[Errno 28] No space left on device", False),
    (_gone_terminal, "", True),
    (_closed_pipe, "", True),
]


def f30_broken_pictures(count: int, folder: Path) -> Outcome:
    """Broken settings of matplotlib, no room for pictures, closed terminals: the run ends with 0, to the same bits,
    and a picture that fails is reported once."""
    found = Outcome()
    whole = folder / "whole"
    code, said = finish(training(whole, **_SMALL))
    assert code == 0, said
    for number in range(count):
        before, warning, drawn = _BROKEN_PICTURES[number % len(_BROKEN_PICTURES)]
        output, place = folder / f"run-{number}", folder / f"place-{number}"
        place.mkdir()
        command = training(output, **_SMALL)
        code, said = finish(command, lambda before=before, place=place, command=command: before(place, command))
        wrong = as_uninterrupted(output, whole) if code == 0 else said[-300:]
        reported = said.count(_WARNED) == bool(warning) and warning in said
        same = drawn == (output / "loss.png").exists()
        found.note(code == 0 and not wrong and reported and same, f"trial {number}: {code} {wrong} {said[-300:]}")
    return found


def _keeping_time(path: Path, change: Callable[[Path], None]) -> None:
    """Changes a file and gives it its old time; its size must be the same."""
    before = path.stat()
    change(path)
    assert path.stat().st_size == before.st_size, path
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _sixteen_bit(root: Path) -> None:
    for split, number in (*(("train", number) for number in range(4)), ("val", 0)):
        (root / split).mkdir(parents=True, exist_ok=True)
        np.save(root / split / f"{number}.npy", np.random.default_rng(number).integers(0, 1024, (32, 64, 1), np.uint16))


def _side_by_side(root: Path) -> None:
    for split, number in (*(("train", number) for number in range(4)), ("val", 0)):
        path = root / split / f"{number}.bmp"
        save_halves(path, noise(32, 32, number), noise(32, 32, number + 50))


def _listed(root: Path) -> None:
    """A manifest of pairs from two folders that hold files of the same names and sizes."""
    for side in "ab":
        for number in range(4):
            (root / side).mkdir(parents=True, exist_ok=True)
            png(root / side / f"{number}.png", np.full((32, 32), number + 10 * (side == "b"), np.uint8))
    rows = [f"a/{number}.png,b/{number}.png,{'val' if number == 3 else 'train'}" for number in range(4)]
    (root / "pairs.csv").write_text("input,target,split\n" + "\n".join(rows) + "\n")


def _bright_pixel(path: Path) -> None:
    pixels = np.load(path)
    pixels[3, 3] = 60000
    np.save(path, pixels)


def _other_pixel(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 255
    path.write_bytes(content)


def _swapped(path: Path) -> None:
    path.write_text(path.read_text().replace("a/0.png,b/0.png", "b/0.png,a/0.png"))


# The data set, the file that changes and how, where the cache is, and what the refusal must say.
_CHANGED = [
    (_sixteen_bit, "train/3.npy", _bright_pixel, "memory", "by their content"),
    (_side_by_side, "train/1.bmp", _other_pixel, "memory", "by their content"),
    (_side_by_side, "val/0.bmp", _other_pixel, "off", "the val data have changed"),
    (_listed, "pairs.csv", _swapped, "memory", "the train data have changed"),
    (_side_by_side, "train/2.bmp", _other_pixel, "disk", "by their content"),
    (_sixteen_bit, "train/0.npy", _bright_pixel, "disk", "by their content"),
]


def f31_changed_data(count: int, folder: Path) -> Outcome:
    """Data changed between two starts with name, size and time kept: the run is refused with 3, continues once the
    data are as they were, and a run of its own on a disk cache ends as one without a cache."""
    found = Outcome()
    for number in range(count):
        make, name, change, cache, words = _CHANGED[number % len(_CHANGED)]
        root, output = folder / f"data-{number}", folder / f"run-{number}"
        make(root)
        place = root / "pairs.csv" if (root / "pairs.csv").exists() else root
        settings = _SMALL | {"data__cache": cache, "data__load_size": 32, "data__direction": None}

        def command(output: Path, epochs: int, place=place, settings=settings) -> list[str]:
            return [*training(output, **settings | {"schedule__epochs": epochs}), "--data", str(place)]

        first, said = finish(command(output, 1))
        state, kept = newest(output), shutil.copytree(root, folder / f"kept-{number}")
        _keeping_time(root / name, change)
        code, refusal = finish(command(output, 2))
        untouched = newest(output)["step"] == state["step"] and refusal.count("error: ") == 1
        code_new = 0
        if cache == "disk":
            others = [folder / f"{kind}-{number}" for kind in ("cached", "plain")]
            for other, kind in zip(others, ("disk", "off"), strict=True):
                code_new += finish([*command(other, 1), "--set", f"data.cache={kind}"])[0]
            untouched = untouched and not as_uninterrupted(*others)
        shutil.copy2(kept / name, root / name)
        code_2, _ = finish(command(output, 2))
        good = (first, code, code_new, code_2) == (0, 3, 0, 0) and words in refusal and untouched
        found.note(good, f"trial {number}: {first} {code} {code_new} {code_2} {refusal[-300:]} {said[-100:]}")
    return found


_DEEP = "[" * 100_000
_ODD_RECORDS = [
    *('{"step": 1, "g/l1": [0.5]}', '{"step": 1, "g/l1": ' + _DEEP, _DEEP, '{"step": 1, "g/l1": NaN}'),
    *('{"step": true}', '{"step": 1, "g/l1": 1e999}', '{"step": 1, "g/l1": 1' + "0" * 400 + "}"),
    *('{"step": 1, "val/l1": "low"}', "1" * 5000),
]
_ODD_MANIFESTS = [
    *(_DEEP, "[]", '{"version": [], "step": 1}', '{"version": 1, "step": NaN}', '{"version": 1}', "", "\0" * 99),
]


def f32_odd_values(count: int, folder: Path) -> Outcome:
    """Odd lines in metrics.jsonl are refused by their number; a checkpoint with an odd manifest is skipped for the one
    before, to the same end."""
    found = Outcome()
    whole, output = folder / "whole", folder / "run"
    code, said = finish(training(whole, **_SMALL))
    assert code == 0, said
    records, manifests = ([(kind, text) for text in texts] for kind, texts in enumerate((_ODD_RECORDS, _ODD_MANIFESTS)))
    cases = [case for pair in zip_longest(records, manifests) for case in pair if case]  # a short run has both
    for number in range(count):
        is_manifest, text = cases[number % len(cases)]
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(whole, output)
        metrics = (output / "metrics.jsonl").read_text()
        if is_manifest:
            (list_checkpoints(output / "checkpoints")[0] / "manifest.json").write_text(text)
        else:
            (output / "metrics.jsonl").write_text(f"{text}\n{metrics}")
        code, said = finish(training(output, **_SMALL))
        if is_manifest:
            good = code == 0 and "skipped" in said and not as_uninterrupted(output, whole)
        else:
            good = code == 4 and "metrics.jsonl:1: is not a line of metrics" in said and said.count("error: ") == 1
            (output / "metrics.jsonl").write_text(metrics)
            good = good and finish(training(output, **_SMALL))[0] == 0 and not as_uninterrupted(output, whole)
        found.note(good, f"trial {number}: {code} {said[-300:]}")
    return found
