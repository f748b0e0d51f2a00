"""Rows F5, F7 and F12: saves on a full disk, and checkpoints and weights that are damaged."""

import contextlib
import io
import json
import os
import resource
import shutil
from pathlib import Path

import torch
from harness import (
    EPOCHS,
    PAIRS,
    STEPS,
    Outcome,
    as_uninterrupted,
    differences,
    finish,
    newest,
    small_disk,
    training,
    trials,
    uninterrupted,
)

from pix2pix.errors import Pix2PixError
from pix2pix.training import trainer
from pix2pix.training.checkpoint_io import list_checkpoints, load_newest
from pix2pix.weights import load_generator_file


def f5_full(count: int, folder: Path) -> Outcome:
    """A limit of file size that comes in mid-run, or, each fifth time, a file system that runs full: the checkpoint
    before loads, the error names path and bytes, and with room again the run goes on to the same end."""
    found = Outcome()
    whole, _ = uninterrupted(folder)
    size = (list_checkpoints(whole / "checkpoints")[0] / "state.pt").stat().st_size
    for number, chance in trials(count, 5):
        with small_disk(folder / "disk", chance.randrange(int(2.2 * size), int(3.6 * size))) as enlarge:
            full = enlarge is not None and number % 5 == 1
            output = folder / "disk" / "run" if full else folder / "run"
            shutil.rmtree(output, ignore_errors=True)
            at, limit = chance.randrange(PAIRS, STEPS - 10), chance.randrange(1, size)
            code, said = finish(
                training(output), (lambda: None) if full else lambda at=at, limit=limit: _starve(at, limit)
            )
            errors = [line for line in said.splitlines() if line.startswith("error: ")]
            state = newest(output)
            clear = len(errors) == 1 and str(output) in errors[0] and "bytes are free" in errors[0]
            before = PAIRS if full else at // PAIRS * PAIRS
            loads = state["step"] >= before and load_generator_file(output / "gen.pt").step >= PAIRS
            found.count("on a full file system", full)
            if full:
                enlarge(100 * size)
            code_2, rest = finish(training(output))
            wrong = as_uninterrupted(output, whole) if code_2 == 0 else rest[-300:]
        found.note(code == 4 and clear and loads and not wrong, f"trial {number}: {code} {errors} {wrong} {full}")
    return found


def _starve(at: int, limit: int) -> None:
    """From the update after `at` others on, no file of this process can grow beyond the limit."""
    step = trainer.Trainer.train_step

    def starving(self, *arguments):
        if self.state.step == at:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        return step(self, *arguments)

    trainer.Trainer.train_step = starving


def f7_damaged(count: int, folder: Path) -> Outcome:
    """The newest checkpoint spoilt in a dozen ways: the one before is used and it is named, or it is refused."""
    found = Outcome()
    whole, _ = uninterrupted(folder)
    other = folder / "other"
    assert finish(training(other, model__generator__base_channels=4))[0] == 0

    def manifest(path: Path, **changes: object) -> None:
        file = path / "manifest.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    def flip(file: Path, place: float) -> None:
        content = bytearray(file.read_bytes())
        content[int(place * len(content))] ^= 4
        file.write_bytes(content)

    def replace(path: Path) -> None:
        shutil.rmtree(path)
        shutil.copytree(list_checkpoints(other / "checkpoints")[0], path)

    used = "skipped"
    ways = [
        (lambda path, place: os.truncate(path / "state.pt", int(place * 200_000)), used),
        (lambda path, place: (path / "state.pt").write_bytes(b""), used),
        (lambda path, place: flip(path / "state.pt", place), used),
        (lambda path, place: flip(path / "state.pt", place), used),
        (lambda path, place: (path / "state.pt").unlink(), used),
        (lambda path, place: (path / "manifest.json").unlink(), used),
        (lambda path, place: os.truncate(path / "manifest.json", 60), used),
        (lambda path, place: shutil.copytree(path, f"{path}.tmp-1"), f"resuming from step {STEPS}"),
        (lambda path, place: manifest(path, version=2), "was written by a newer pix2pix"),
        (lambda path, place: replace(path), "holds networks of another shape"),
    ]
    for number, chance in trials(count, 7):
        output = folder / "run"
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(whole, output)
        spoil, words = ways[number % len(ways)]
        spoil(list_checkpoints(output / "checkpoints")[0], chance.random())
        code, said = finish(training(output, schedule__epochs=EPOCHS + 1))
        refused = words != used and "resuming" not in words
        good = words in said and "Traceback" not in said and code == (4 if refused else 0)
        found.note(
            good and (refused or newest(output)["step"] == STEPS + PAIRS), f"trial {number}: {code} {said[-300:]}"
        )
    return found


def f12_mutated(count: int, folder: Path) -> Outcome:
    """Random bytes of a checkpoint and of a weights file changed: no crash, and what is read is what was written."""
    found = Outcome()
    whole, _ = uninterrupted(folder)
    source, cpu = list_checkpoints(whole / "checkpoints")[0], torch.device("cpu")
    weights = load_generator_file(whole / "gen.pt").generator.state_dict()
    for number, chance in trials(count, 12):
        copy = folder / "mutated" / source.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        shutil.copytree(source, copy)
        shutil.copy(whole / "gen.pt", copy.parent)
        file = copy.parent / "gen.pt" if number % 4 == 3 else copy / ("state.pt" if number % 4 else "manifest.json")
        content = bytearray(file.read_bytes())
        for _ in range(chance.choice((1, 1, 8, 64))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            content = content[: chance.randrange(len(content))]
        file.write_bytes(content)
        try:
            if number % 4 == 3:
                wrong = differences(load_generator_file(file).generator.state_dict(), weights)
            else:
                with contextlib.redirect_stdout(io.StringIO()):
                    wrong = differences(load_newest(copy.parent, cpu), load_newest(source.parent, cpu))
            found.count("read as it was")
        except Pix2PixError:
            wrong = []
            found.count("refused")
        found.count("silent loads of something else", bool(wrong))
        found.note(not wrong, f"trial {number}: {wrong}")
    return found
