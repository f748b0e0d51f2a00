"""Rows F2, F15 and F17: runs of several ranks, and runs that go on with other readers."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from harness import PAIRS, STEPS, Child, Outcome, as_uninterrupted, finish, training, trials
from ranks import free_port, rank_variables, torchrun

from pix2pix.config import dump_config, load_config
from pix2pix.training import trainer

TESTS = Path(__file__).parents[1]
PLACES = {"mid-epoch": PAIRS + PAIRS // 2, "epoch end": 2 * PAIRS, "last step": STEPS - 1}


def stop_at(step: int) -> None:
    """From now on this process, of several ranks the last, is sent SIGTERM after that update."""
    if os.environ.get("RANK", "0") != str(int(os.environ.get("WORLD_SIZE", "1")) - 1):
        return
    update = trainer.Trainer.train_step

    def stopping(self, *arguments):
        report = update(self, *arguments)
        if self.state.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
        return report

    trainer.Trainer.train_step = stopping


def _run(ranks: int, command: list[str], stop: int | None = None) -> tuple[int, str]:
    if ranks == 1:
        return finish(command, (lambda: stop_at(stop)) if stop else (lambda: None))
    port = free_port()

    def as_rank(rank: int) -> Callable[[], None]:
        def before() -> None:
            os.environ.update(rank_variables(rank, ranks, port))
            if stop:
                stop_at(stop)

        return before

    with contextlib.ExitStack() as running:
        children = [running.enter_context(Child(command, as_rank(rank))) for rank in range(ranks)]
        codes = [child.wait() for child in children]
        return max(codes, key=abs), "".join(child.said() for child in children)


def f2_grid(count: int, folder: Path) -> Outcome:
    """Stopped in mid-epoch, at an epoch's end and in the last step, gone on with 0, 2 or 4 workers: the same end."""
    found, wholes = Outcome(), {}
    # Ordered so that the first few differ in everything.
    cells = [
        (place, workers, precision, ranks)
        for ranks in (1, 2)
        for precision in ("fp32", "bf16")
        for workers in (0, 2, 4)
        for place in PLACES
    ]
    for number in range(min(count, len(cells))):
        place, workers, precision, ranks = cells[number * 13 % len(cells)]
        settings = {"run__precision": precision, "data__batch_size": 2, "schedule__epochs": 10}
        key = (precision, ranks)
        if key not in wholes:
            wholes[key] = folder / f"whole-{precision}-{ranks}"
            code, said = _run(ranks, training(wholes[key], **settings))
            assert code == 0, said
        output = folder / "run"
        shutil.rmtree(output, ignore_errors=True)
        reading = {"data__workers": workers, "data__cache": "off" if workers else "auto"}
        _, first = _run(ranks, training(output, **settings, **reading), PLACES[place])
        code, second = _run(ranks, training(output, **settings, **reading))
        gone_on = f"resuming from step {PLACES[place]} " in second
        wrong = as_uninterrupted(output, wholes[key]) if code == 0 and gone_on else (first + second)[-600:]
        found.note(not wrong, f"{place}, {workers} workers, {precision}, {ranks} ranks: {wrong}")
    return found


def f15_lost_rank(count: int, folder: Path) -> Outcome:
    """SIGKILL of either rank at any step: the job ends within 60 s, nothing is left of it, and the same end."""
    found, whole = Outcome(), folder / "whole-two"
    code, said = _run(2, training(whole, data__batch_size=2))
    assert code == 0, said
    for number, chance in trials(count, 15):
        output = folder / "run"
        shutil.rmtree(output, ignore_errors=True)
        process = torchrun(2, *training(output, data__batch_size=2), stderr=subprocess.STDOUT)
        at = chance.randrange(1, STEPS // 20)
        if not any(line.startswith(f"step {at}0/") for line in process.stdout):
            found.note(False, f"trial {number}: never came to step {at}0")
            continue
        children = psutil.Process(process.pid).children(recursive=True)
        ranks = {child.environ().get("RANK"): child for child in children if "RANK" in child.environ()}
        start = time.monotonic()
        ranks[str(number % 2)].kill()
        said = process.communicate(timeout=120)[0]
        seconds = time.monotonic() - start
        left = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        code, again = _run(2, training(output, data__batch_size=2))
        wrong = as_uninterrupted(output, whole) if code == 0 else again[-300:]
        good = process.returncode != 0 and seconds < 60 and not left and not wrong and "a bug in" not in said
        found.counted["slowest"] = round(max(found.counted.get("slowest", 0), seconds), 1)
        found.note(good, f"trial {number}: {process.returncode} after {seconds:.0f} s, {len(left)} left, {wrong}")
    return found


def f17_shared(count: int, folder: Path) -> Outcome:
    """The first update's gradients of one rank and of two within 1e-6 of the largest, and each pair once an epoch."""
    found = Outcome()
    path = os.pathsep.join([str(TESTS), *sys.path])
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        settings = training(folder / name / "run", data__batch_size=4, model__generator__dropout=0.0)
        config = load_config("demo", [*settings[4:-2:2], f"run.output={folder / name / 'run'}"])
        (folder / f"{name}.yaml").write_text(dump_config(config))
    command = [sys.executable, "-m", "rank_program", str(folder / "one.yaml"), str(folder / "one")]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True, capture_output=True)
    arguments = (str(folder / "two.yaml"), str(folder / "two"))
    process = torchrun(2, *arguments, module="rank_program", env={"PYTHONPATH": path})
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 0, errors
    one, two = (torch.load(folder / name / "gradients.pt")["gradients"] for name in ("one", "two"))
    apart = max(((one[k] - two[k]).abs().max() / max(1, one[k].abs().max())).item() for k in one)
    pairs = [torch.load(folder / "two" / f"pairs-{rank}.pt") for rank in (0, 1)]
    steps = len(pairs[0]) // 5
    epochs = [[i for part in pairs for batch in part[e * steps : (e + 1) * steps] for i in batch] for e in range(5)]
    once = all(sorted(epoch) == list(range(PAIRS)) for epoch in epochs)
    found.counted = {"gradients apart by": apart}
    found.note(apart <= 1e-6 and once, f"{apart}, each once: {once}")
    return found
