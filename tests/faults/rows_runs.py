"""Rows F1 to F5, F7, F12 to F14, F16, F18, F19: runs that are killed, stopped, starved, and lied to."""

import contextlib
import io
import json
import math
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import psutil
import torch
from harness import (
    EPOCHS,
    PAIRS,
    STEPS,
    Child,
    Outcome,
    as_uninterrupted,
    differences,
    finish,
    newest,
    readable,
    records,
    small_disk,
    training,
    trials,
    uninterrupted,
)

from pix2pix import losses
from pix2pix.errors import Pix2PixError
from pix2pix.training import checkpoint_io, trainer
from pix2pix.training.checkpoint_io import list_checkpoints, load_newest
from pix2pix.training.evaluator import Evaluator
from pix2pix.weights import load_generator_file


def _kill_in_a_save(at: int) -> None:
    """From now on this process is killed at the `at`-th thing that its saves ask of the disk."""
    done = 0

    def counting(call):
        def counted(*arguments, **options):
            nonlocal done
            done += 1
            if done >= at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counted

    class File(io.FileIO):
        write = counting(io.FileIO.write)

    def save_tensors(path: Path, value: object) -> None:
        with File(path, "w") as file:
            torch.save(value, file)

    checkpoint_io.save_tensors = save_tensors
    os.rename, os.fsync = counting(os.rename), counting(os.fsync)
    checkpoint_io.remove_folder = counting(checkpoint_io.remove_folder)


def f1_killed(count: int, folder: Path) -> Outcome:
    """SIGKILL at random points, a third of them inside a save: the same end to the bit, no unreadable checkpoint."""
    found = Outcome()
    whole, seconds = uninterrupted(folder)
    for number, chance in trials(count, 1):
        output, in_save = folder / "run", number % 3 == 0
        shutil.rmtree(output, ignore_errors=True)
        if in_save:  # each of the five saves is some 250 operations
            at = chance.randrange(1, 1300)
            code = finish(training(output), lambda at=at: _kill_in_a_save(at))[0]
        else:
            with Child(training(output)) as child:
                with contextlib.suppress(TimeoutError):
                    child.wait_for("step 10/")
                    time.sleep(chance.uniform(0, 0.9 * seconds))
                child.kill()
                code = child.code
        found.count("inside a save", in_save and code == -signal.SIGKILL)
        whole_ones = readable(output)
        found.count("unreadable checkpoints", not whole_ones)
        code, said = finish(training(output))
        wrong = as_uninterrupted(output, whole) if code == 0 else said[-300:]
        found.note(whole_ones and not wrong, f"trial {number}: {wrong}")
    return found


def f3_stopped(count: int, folder: Path) -> Outcome:
    """SIGTERM at any time, the first step, validation and samples included: saved, 143, within 30 s, the same end."""
    found = Outcome()
    whole, seconds = uninterrupted(folder)
    places = {"validation": (Evaluator, "validate"), "samples": (Evaluator, "sample"), "first step": (losses, "l1")}
    for number, chance in trials(count, 3):
        output = folder / "run"
        shutil.rmtree(output, ignore_errors=True)
        place = list(places)[number % 6] if number % 6 < len(places) else None

        def stop_there(place=place) -> None:
            if place is None:
                return
            module, name = places[place]
            call = getattr(module, name)

            def stopping(*arguments):
                setattr(module, name, call)
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.05)
                return call(*arguments)

            setattr(module, name, stopping)

        with Child(training(output), stop_there) as child:
            if place is None:
                child.wait_for("pix2pix 0")
                time.sleep(chance.uniform(0, 0.9 * seconds))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
            start = time.monotonic()
            code = child.wait(60)
            late = place is None and time.monotonic() - start > 30
        found.count("in validation, samples or the first step", place is not None and code == 143)
        code_2, said = finish(training(output))
        wrong = as_uninterrupted(output, whole) if code_2 == 0 else said[-300:]
        found.note(code == 143 and not late and not wrong, f"trial {number}: {code} {wrong}")
    return found


def f4_stopped_twice(count: int, folder: Path) -> Outcome:
    """A second signal, in a step that lasts or in a save: gone within 2 s, and the checkpoint before is whole."""
    found = Outcome()
    for number, chance in trials(count, 4):
        output, name = folder / "run", ("SIGTERM", "SIGINT")[number % 2]
        shutil.rmtree(output, ignore_errors=True)
        at = chance.randrange(PAIRS + 10, STEPS - PAIRS + 10)

        def hang(at=at, in_save=number % 4 < 2) -> None:
            step = trainer.Trainer.train_step

            def hanging(self, *arguments):
                if self.state.step == at:
                    print("hanging", flush=True)
                    if in_save:  # the save that the stop asks for never ends
                        os.rename = lambda *_: time.sleep(600)
                    else:
                        time.sleep(600)
                return step(self, *arguments)

            trainer.Trainer.train_step = hanging

        with Child(training(output), hang) as child:
            child.wait_for("hanging")
            os.kill(child.pid, getattr(signal, name))
            child.wait_for("stopping after this step")
            time.sleep(1.1)  # what comes sooner is the same request
            start = time.monotonic()
            os.kill(child.pid, getattr(signal, name))
            code = child.wait(30)
            seconds = time.monotonic() - start
        found.counted["slowest"] = round(max(found.counted.get("slowest", 0), seconds), 3)
        state = newest(output)
        good = code == (130 if name == "SIGINT" else 143) and seconds < 2 and state["step"] == at // PAIRS * PAIRS
        found.note(good, f"trial {number}: {code} after {seconds:.1f} s, step {state['step']}")
    return found


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


def f13_not_finite(count: int, folder: Path) -> Outcome:
    """NaN and Inf in input, target, losses, gradients and weights: stopped before the update, named, nothing saved."""
    found = Outcome()
    kinds = ("input", "target", "d loss", "g loss", "d gradient", "g gradient", "d weights", "g weights")
    for number, chance in trials(count, 13):
        output, kind, value = folder / "run", kinds[number % len(kinds)], chance.choice((math.nan, math.inf, -math.inf))
        shutil.rmtree(output, ignore_errors=True)
        at = chance.randrange(1, STEPS)
        code, said = finish(training(output), lambda at=at, kind=kind, value=value: _spoil(kind, at, value))
        state = newest(output) if (output / "checkpoints").exists() else None
        finite = state is None or all(value.isfinite().all() for value in _tensors(state))
        saved = state["step"] if state else 0
        named = f"at step {at + 1}, with train_" in said and ("d/" in said or "g/" in said)
        good = code == 5 and finite and named and saved == at // PAIRS * PAIRS
        found.note(good, f"trial {number}, {kind} at {at}: {code} {saved} {said[-400:]}")
    return found


def _tensors(state: object) -> list[torch.Tensor]:
    if isinstance(state, dict):
        return [tensor for value in state.values() for tensor in _tensors(value)]
    return [state] if isinstance(state, torch.Tensor) else []


def _spoil(kind: str, at: int, value: float) -> None:
    """Makes one number of this process's update after `at` others not finite."""
    step = trainer.Trainer.train_step

    def spoiling(self, x, y, *rest):
        network = self.generator if kind[0] == "g" else self.discriminator
        if self.state.step == at:
            if kind in ("input", "target"):
                (x if kind == "input" else y)[0, 0, 3, 3] = value
            elif kind.endswith("weights"):
                next(network.parameters()).data.view(-1)[0] = value
            elif kind.endswith("gradient"):
                network.requires_grad_(True)  # as the update itself has it
                next(network.parameters()).register_hook(lambda gradient: gradient * value)
            elif kind == "g loss":
                losses.l1 = lambda image, target: (image - target).abs().mean() * value
            else:
                losses.ADVERSARIAL["bce"] = lambda logits, real: logits.mean() * value
        return step(self, x, y, *rest)

    trainer.Trainer.train_step = spoiling


def f14_same_twice(count: int, folder: Path) -> Outcome:
    """The same run twice, once read by four workers: to the bit."""
    found = Outcome()
    for seed, _ in trials(count, 14):
        outputs = [folder / "a", folder / "b"]
        for output, workers in zip(outputs, (0, 4), strict=True):
            shutil.rmtree(output, ignore_errors=True)
            code, said = finish(training(output, run__seed=seed, data__workers=workers, data__cache="off"))
            assert code == 0, said
        wrong = differences(*map(newest, outputs)) or records(outputs[0]) != records(outputs[1])
        found.note(not wrong, f"seed {seed}: {wrong}")
    return found


def f16_lost_workers(count: int, folder: Path) -> Outcome:
    """A reader killed or stopped: an error within 60 s, and no process is left."""
    found = Outcome()
    for number, chance in trials(count, 16):
        output, name = folder / "run", ("SIGKILL", "SIGSTOP")[number % 2]
        shutil.rmtree(output, ignore_errors=True)
        command = training(output, data__workers=2, data__cache="off")
        with Child(command) as child:
            child.wait_for(f"step {chance.randrange(1, STEPS // 15)}0/")
            workers = psutil.Process(child.pid).children()
            for worker in workers if name == "SIGSTOP" else workers[:1]:
                worker.send_signal(getattr(signal, name))
            start = time.monotonic()
            code = child.wait(90)
            seconds, said = time.monotonic() - start, child.said()
        gone = not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
        good = code == 3 and seconds < 60 and gone and "a process that reads data was killed" in said
        found.note(good, f"trial {number}: {code} after {seconds:.0f} s {said[-300:]}")
        found.counted["slowest"] = round(max(found.counted.get("slowest", 0), seconds), 1)
    return found


def f18_locked(count: int, folder: Path) -> Outcome:
    """A second process on the same folder is refused, the first one named; what a killed one leaves is no obstacle."""
    found = Outcome()
    for number, _ in trials(count, 18):
        output = folder / "run"
        shutil.rmtree(output, ignore_errors=True)
        with Child(training(output)) as child:
            child.wait_for("step 10/")
            flags = ["--fresh"] * (number % 2)
            code, said = finish([*training(output), *flags])
            child.kill()
        left = len(list(output.glob(".lock.json")))
        again = finish(training(output, schedule__epochs=EPOCHS))[0]
        good = code == 4 and f"process {child.pid} on" in said and left == 1 and again == 0
        found.note(good, f"trial {number}: {code} {said[-300:]} {left} {again}")
    return found


def f19_long(count: int, folder: Path) -> Outcome:
    """Ten thousand steps: after the first thousand, memory grows by less than 2 %, and open files not at all."""
    found, output, steps = Outcome(), folder / "run", max(2000, 10_000 * count)
    shutil.rmtree(output, ignore_errors=True)
    epochs = steps // PAIRS
    with Child(training(output, schedule__epochs=epochs, run__log_every_steps=100, run__ema=None)) as child:
        process, seen = psutil.Process(child.pid), {}
        for at in (1000, steps - 200):
            child.wait_for(f"step {at}/", 3600)
            seen[at] = process.memory_info().rss, process.num_fds()
        child.kill()
    (before, files_before), (after, files_after) = seen.values()
    growth = round(100 * (after / before - 1), 2)
    found.counted = {"steps": steps, "growth in %": growth, "files more": files_after - files_before}
    found.note(after < 1.02 * before and files_after == files_before, str(found.counted))
    return found
