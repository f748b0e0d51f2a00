"""What injects faults: real runs in processes of their own, forked so that a trial costs no import, and compared."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import torch
from commands import overrides
from forked import MODULES, become_a_program

from pix2pix.cli.main import main as cli
from pix2pix.training.checkpoint_io import list_checkpoints, load_newest

# About 100,000 parameters, and a run of 300 steps, which take seconds; fewer where somebody waits.
EPOCHS, PAIRS = 5, int(os.environ.get("PIX2PIX_FAULT_PAIRS", "60"))
STEPS = EPOCHS * PAIRS
SETTINGS = {
    "data.direction": "b2a",
    "data.image_size": 32,
    "data.load_size": 36,
    "data.flip": True,
    "data.batch_size": 1,
    "data.synthetic.train": PAIRS,
    "data.synthetic.val": 4,
    "data.synthetic.test": 1,
    "model.generator.base_channels": 5,
    "model.generator.dropout_up": [4],
    "model.discriminator.base_channels": 4,
    "model.discriminator.n_layers": 2,
    "schedule.epochs": EPOCHS,
    "schedule.decay_epochs": 2,
    "run.ema": 0.99,
    "run.log_every_steps": 10,
    "run.sample_pairs": 2,
    "run.device": "cpu",
}


def preload() -> None:
    """Imports what commands import when they run; a forked child has all that its parent has imported."""
    for name in MODULES:
        import_module(name)


def training(output: Path, **settings: object) -> list[str]:
    """The command line of a run."""
    changed = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
    return ["train", "--config", "demo", *overrides(changed), "--output", str(output)]


@dataclass
class Outcome:
    """What a row found: how many of how many trials went as they must, what else it counted, what went wrong."""

    passed: int = 0
    tried: int = 0
    counted: dict[str, int | float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def note(self, good: bool, what: str = "") -> None:
        """Counts a trial."""
        self.tried += 1
        self.passed += bool(good)
        if not good:
            self.wrong.append(what)

    def count(self, name: str, by: int = 1) -> None:
        """Counts something beside the trials."""
        self.counted[name] = self.counted.get(name, 0) + by


class Child:
    """A forked `pix2pix` with its output in a file; `before` runs in it first. A group of its own, workers included."""

    def __init__(self, command: list[str], before: Callable[[], None] = lambda: None):
        handle, self.log = tempfile.mkstemp(prefix="pix2pix-fault-", suffix=".log")
        sys.stdout.flush(), sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                become_a_program(0, handle, handle)
                warnings.filterwarnings("ignore", "This DataLoader will create")  # more readers than cores are meant
                before()
                code = cli(command)
                sys.stdout.flush(), sys.stderr.flush()
            finally:
                os._exit(code)
        os.close(handle)
        self.code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, once it has ended."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, seconds: float = 300) -> int:
        """Waits for its end. Raises TimeoutError, having killed it."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise TimeoutError(f"{seconds} s: {self.said()[-500:]}")
            time.sleep(0.005)
        return self.code

    def wait_for(self, words: str, seconds: float = 120) -> bool:
        """Waits until it has said so; False where it ended before."""
        end = time.monotonic() + seconds
        while words not in self.said():
            if self.poll() is not None or time.monotonic() > end:
                return words in self.said()
            time.sleep(0.002)
        return True

    def kill(self) -> None:
        """SIGKILL to it and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def said(self) -> str:
        """All that it wrote."""
        return Path(self.log).read_text(errors="replace")

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self.poll() is None:
            self.kill()
        os.unlink(self.log)


def finish(command: list[str], before: Callable[[], None] = lambda: None, seconds: float = 300) -> tuple[int, str]:
    """Runs a command to its end: its exit code and what it said."""
    with Child(command, before) as child:
        return child.wait(seconds), child.said()


def newest(output: Path) -> dict | None:
    """The state of a run's newest whole checkpoint."""
    with contextlib.redirect_stdout(None):
        return load_newest(output / "checkpoints", torch.device("cpu"))


def differences(a: object, b: object, name: str = "") -> list[str]:
    """Where two states differ by a bit, the surroundings aside."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{name}: other keys"]
        return [found for key in a if key != "surroundings" for found in differences(a[key], b[key], f"{name}.{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return [found for i, pair in enumerate(zip(a, b, strict=True)) for found in differences(*pair, f"{name}.{i}")]
    same = torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    return [] if same else [name]


def records(output: Path) -> list[str]:
    """A run's metrics, timings aside."""
    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [re.sub(r', "images_per_second": [^,}]*', "", line) for line in lines]


def as_uninterrupted(output: Path, whole: Path) -> str:
    """Empty where a run ended as the uninterrupted one, else how not."""
    found = differences(newest(output), newest(whole))
    if found:
        return f"differs in {', '.join(found[:5])}"
    if records(output) != records(whole):
        return "other metrics"
    weights = [torch.load(folder / "gen.pt", weights_only=True)["state_dict"] for folder in (output, whole)]
    return "another gen.pt" if differences(*weights) else ""


def readable(output: Path) -> bool:
    """Whether every checkpoint that has its name is whole, and there is no other name than those of leftovers."""
    folder = output / "checkpoints"
    before = len(list_checkpoints(folder))
    newest(output)
    return before == len(list_checkpoints(folder)) and not list(folder.glob("*.damaged"))


_whole_runs: dict[Path, float] = {}


def uninterrupted(folder: Path) -> tuple[Path, float]:
    """A whole run to compare with, beside `folder` and made once a campaign, and the seconds that it took."""
    output, start = folder.with_name("whole"), time.monotonic()
    if output not in _whole_runs:
        code, said = finish(training(output))
        assert code == 0, said
        _whole_runs[output] = time.monotonic() - start
    return output, _whole_runs[output]


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[int], None] | None]:
    """A file system of so many bytes at `folder`, and what makes it larger; None where none may be mounted."""
    folder.mkdir(exist_ok=True)

    def mount(*options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return shutil.which("mount") is not None and not subprocess.run(command, capture_output=True).returncode

    if not mount(f"size={size}"):
        yield None
        return
    try:
        yield lambda larger: mount("remount", f"size={larger}")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def trials(count: int, seed: int) -> Iterator[tuple[int, random.Random]]:
    """So many trials, each with randomness of its own: the same in every campaign."""
    return ((number, random.Random(seed * 10_000 + number)) for number in range(count))
