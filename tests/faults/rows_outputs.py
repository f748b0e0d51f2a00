"""Rows F24 to F26: what a command would replace, delete or take for data, and must not."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from commands import TINY, overrides, pairs, picture
from harness import EPOCHS, PAIRS, STEPS, Outcome, finish, newest, training, trials, uninterrupted

from pix2pix.datasets.staging import exclusive_build
from pix2pix.runtime.ownership import INDEX
from pix2pix.training.checkpoint_io import list_checkpoints


def _everything(folder: Path) -> dict[str, object]:
    """Every file and link below a folder with its content, where links are not followed."""
    found = {}
    for here, folders, names in os.walk(folder):
        for path in (Path(here, name) for name in (*folders, *names)):
            if path.is_symlink():
                found[str(path)] = os.readlink(path)
            elif path.is_file():
                found[str(path)] = path.read_bytes()
    return found


def _linked(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _written(path: Path, text: str = "mine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def f24_outputs(count: int, folder: Path) -> Outcome:
    """A command whose output is what it reads, or a file of a person's: it is refused, and not a byte is changed."""
    found, whole = Outcome(), uninterrupted(folder)[0]
    base = folder / "base"
    ds, out, mine, sheet = base / "ds", base / "out", base / "mine", base / "sheet.png"
    split = ["sample", "--weights", str(whole / "gen.pt"), "--device", "cpu", "--data", str(ds), "--split", "test"]
    files = [*split[:5], "--input", str(ds / "test")]
    check = ["check", "--data", str(ds), "--set", "data.image_size=32", "--preview"]
    copy = ["configs", "copy", "demo", "--output"]
    ways: list[tuple[Callable[[], object], list[str], Path, int]] = [
        (lambda: None, [*split, "--output"], ds, 2),
        (lambda: None, [*split, "--output"], ds / "test", 2),
        (lambda: _linked(out, ds), [*split, "--output"], out, 2),
        (lambda: None, [*files, "--output"], ds / "test", 2),
        (lambda: picture(out / "test/0.png"), [*split, "--output"], out, 2),
        (lambda: _linked(out / "test", ds / "test"), [*split, "--output"], out, 2),
        (lambda: picture(out / "test_comparison.png"), [*split, "--output"], out, 2),
        (lambda: _written(out / INDEX), [*split, "--output"], out, 2),
        (lambda: _linked(out / "test/0.png", ds / "train/0.png"), [*split, "--output"], out, 2),
        (lambda: _linked(out / "test", mine), [*split, "--output"], out, 2),
        (lambda: (out / "0.png").mkdir(parents=True), [*files, "--output"], out, 2),
        (lambda: None, check, ds / "train/0.png", 2),
        (lambda: _linked(sheet, ds / "train/0.png"), check, sheet, 2),
        (lambda: _written(mine / "config.yaml"), copy, mine / "config.yaml", 4),
        (lambda: _linked(mine / "link.yaml", base / "gone"), copy, mine / "link.yaml", 4),
        (lambda: _written(mine / "config.yaml", "run: {seed: 3}\n"), training(mine)[:-1], mine, 4),
    ]
    for number, chance in trials(count, 24):
        shutil.rmtree(base, ignore_errors=True)
        pairs(ds, "train", "test", count=chance.randint(2, 3))
        picture(mine / "holiday.png", seed=number)
        prepare, command, output, wanted = ways[number % len(ways)]
        prepare()
        before = _everything(base)
        code, said = finish([*command, str(output)])
        good = code == wanted and _everything(base) == before and "error: " in said and "a bug" not in said
        found.note(good, f"trial {number}: {code} {said[-300:]}")
    return found


def f25_own_folders(count: int, folder: Path) -> Outcome:
    """Files of a person's own where pruning and cleaning work: all are kept, and the run goes on or is refused."""
    found, whole = Outcome(), uninterrupted(folder)[0]
    run, theirs = folder / "run", folder / "theirs"
    checkpoints = run / "checkpoints"

    def oldest() -> Path:
        return list_checkpoints(checkpoints)[-1]

    def moved(path: Path) -> None:
        shutil.move(path, theirs / path.name)
        path.symlink_to(theirs / path.name)

    def damaged() -> Path:
        path = list_checkpoints(checkpoints)[0]
        os.truncate(path / "state.pt", 100)
        return _written(path.with_name(f"{path.name}.damaged") / "thesis.txt")

    def foreign_checkpoints() -> Path:
        moved(checkpoints)
        return _written(theirs / "checkpoints/step_00000001/thesis.txt")

    def linked_samples() -> Path:
        shutil.rmtree(run / "samples")
        (run / "samples").symlink_to(theirs)
        return picture(theirs / f"epoch_{EPOCHS + 1:04d}.png")

    def moved_checkpoint() -> Path:
        path = oldest()
        moved(path)
        return theirs / path.name / "state.pt"

    def linked_probe() -> Path:
        (run / ".probe-1").symlink_to(theirs)
        return theirs / "holiday.png"

    ways: list[tuple[Callable[[], Path], int]] = [
        (foreign_checkpoints, 4),
        (lambda: _written(checkpoints / "step_00000001/thesis.txt"), 4),
        (lambda: _written(checkpoints / "step_00000003"), 4),
        (linked_samples, 0),
        (lambda: _written(oldest() / "notes.txt"), 0),
        (moved_checkpoint, 0),
        (damaged, 0),
        (lambda: _written(checkpoints / "step_00000009.tmp-1/thesis.txt"), 0),
        (lambda: _written(run / ".notes.tmp-2024.txt"), 0),
        (lambda: _written(run / "samples/.thesis.tmp-1.png"), 0),
        (linked_probe, 0),
    ]
    for number, _ in trials(count, 25):
        for path in (run, theirs):
            shutil.rmtree(path, ignore_errors=True)
        picture(theirs / "holiday.png")
        if number % (len(ways) + 1) == len(ways):
            file = _written(folder / ".facades-original/thesis.txt")
            with exclusive_build(folder / "facades"):
                found.note(file.read_text() == "mine", f"trial {number}: deleted")
            continue
        shutil.copytree(whole, run)
        make, wanted = ways[number % (len(ways) + 1)]
        file = make()
        before = _everything(theirs) | {str(file): file.read_bytes()}
        code, said = finish(training(run, schedule__epochs=EPOCHS + 1, run__keep_checkpoints=2))
        kept = file.exists() and all(Path(name).read_bytes() == content for name, content in before.items())
        good = kept and code == wanted and "a bug" not in said
        found.note(good and (code or newest(run)["step"] == STEPS + PAIRS), f"trial {number}: {code} {said[-300:]}")
    return found


def f26_inside(count: int, folder: Path) -> Outcome:
    """A run whose folder, samples and translations lie in its own data set: it never trains on them."""
    found, ds = Outcome(), folder / "ds"

    def older(output: str) -> None:
        (ds / output / INDEX).unlink()

    def sampled(*flags: str) -> Callable[[str], None]:
        def sample(output: str) -> None:
            code, said = finish(["sample", "--device", "cpu", "--weights", f"{output}/gen.pt", *flags], inside)
            assert code == 0, said

        return sample

    def inside() -> None:
        os.chdir(ds)

    def nothing(output: str) -> None:
        pass

    ways = [
        ("runs/mine", nothing, ()),
        ("train/run", nothing, ()),
        ("run", older, ()),
        ("train/run", nothing, ("--fresh",)),
        ("train/run", sampled("--input", "train", "--output", "train/new"), ()),
        ("run", sampled("--data", ".", "--split", "train", "--output", "new"), ()),
    ]
    for number, chance in trials(count, 26):
        shutil.rmtree(ds, ignore_errors=True)
        pairs(ds, "train", count=chance.randint(3, 6))
        output, change, flags = ways[number % len(ways)]
        settings = {"data.layout": "auto", "data.root": ".", "data.direction": None, "schedule.epochs": 1}
        command = ["train", *TINY, *overrides(settings), "--output", output]
        first = finish(command, inside)
        change(output)
        second = finish([*command, *flags], inside)
        counts = [re.findall(r"(\d+) pairs to train on", said) for _, said in (first, second)]
        good = first[0] == second[0] == 0 and counts[0] == counts[1] and len(counts[0]) == 1
        found.note(good, f"trial {number}: {first[1][-300:]} {second[1][-300:]}")
    return found
