"""Rows F1, F3, F4, F13, F14, F16, F18, F19: runs that are killed, stopped, repeated and given wrong numbers."""

import contextlib
import io
import math
import os
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
    training,
    trials,
    uninterrupted,
)

from pix2pix import losses
from pix2pix.training import checkpoint_io, trainer
from pix2pix.training.evaluator import Evaluator


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
