"""What a run tells: metrics.jsonl, the progress bar or plain lines, the estimated time, the loss plot."""

import gc
import importlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from pix2pix.errors import CheckpointError, NonFiniteError
from pix2pix.runtime import distributed
from pix2pix.runtime.console import say
from pix2pix.runtime.files import replace_atomically, writing
from pix2pix.runtime.signals import Stopped

METRICS = "metrics.jsonl"
ESTIMATE_AFTER = 20  # steps


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads the records of a metrics.jsonl, without a last line that a crash cut short.

    A record is an object of finite numbers with a whole `step`. Raises CheckpointError for any other line.
    """
    records = []
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path}: is not a regular file; move it away")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); fix its permissions") from None
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is not None:
            records.append(record)
        elif number < len(lines):
            raise CheckpointError(f"{path}:{number}: is not a line of metrics; fix or remove the line")
    return records


def _record(line: str) -> dict[str, Any] | None:
    """The record on a line, or None where the line holds anything else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # deep brackets
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    return record if all(_is_number(value) for value in record.values()) else None


def _is_number(value: object) -> bool:
    """Whether a value is a finite number that a double can hold; True and False are not."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # false for NaN


def duration(seconds: float) -> str:
    """Seconds in words that fit their size."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


class Tracker:
    """Sums the losses between two log lines, writes the lines, shows where the run is.

    `metrics.jsonl` in `folder` gets a record each `log_every` steps: means since the last one, `images_per_second`
    being wall time without validation and saving. `window` is what a checkpoint kept of the sums: it makes a
    continued run's records equal. Only the first rank writes.
    """

    def __init__(self, folder: Path, total_steps: int, log_every: int, step: int = 0, window: dict | None = None):
        self.path, self.total_steps, self.log_every, self.first_step = folder / METRICS, total_steps, log_every, step
        self._sums: dict[str, Tensor | float] = dict((window or {}).get("sums", {}))
        self._count = (window or {}).get("count", 0)
        self._images, self._seconds, self._resumed_at = 0, 0.0, time.perf_counter()
        self._own_seconds = 0.0
        self._writes = distributed.rank() == 0
        self._failed: set[str] = set()  # extras whose failure was reported
        if self._writes:
            self._cut_back(step)
        interactive = self._writes and sys.stderr.isatty()
        self.bar = tqdm(total=total_steps, initial=step, unit="step", disable=not interactive, dynamic_ncols=True)
        self.interactive = interactive

    def _cut_back(self, step: int) -> None:
        """Drops the records that were written after the checkpoint from which the run goes on."""
        if step > 0 and not self.path.exists():
            say(f"{self.path} is gone: its records begin anew at step {step}")
        kept = [record for record in read_metrics(self.path) if record["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        replace_atomically(self.path, lambda path: path.write_text(text, encoding="utf-8"))

    def window(self) -> dict[str, Any]:
        """The sums since the last record, for the checkpoint."""
        return {"sums": {name: float(value) for name, value in self._sums.items()}, "count": self._count}

    def pause(self) -> None:
        """Stops the clock of images a second while something else than training runs."""
        now = time.perf_counter()
        self._seconds += now - self._resumed_at
        self._own_seconds += now - self._resumed_at
        self._resumed_at = now

    def resume(self) -> None:
        """Starts the clock again."""
        self._resumed_at = time.perf_counter()

    def step(self, step: int, losses: dict[str, Tensor], images: int, **facts: float) -> None:
        """Counts one update. `losses` are scalars on any device; they are read only when a record is due."""
        for name, value in losses.items():
            wide = torch.float32 if value.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().to(wide)
        self._count += 1
        self._images += images
        self.bar.update()
        if self.is_due(step):
            self._record(step, **facts)

    def is_due(self, step: int) -> bool:
        """Whether a record is."""
        return step % self.log_every == 0 or step == self.total_steps

    def _record(self, step: int, **facts: float) -> None:
        means = {name: float(value) / self._count for name, value in self._sums.items()}
        self.pause()
        rate = self._images / max(self._seconds, 1e-9)
        self.write({"step": step, **facts, **means, "images_per_second": round(rate, 3)})
        shown = {name: f"{value:.4g}" for name, value in means.items()}
        if self.interactive:
            self.bar.set_postfix({**shown, "images/s": f"{rate:.1f}"})
        else:
            losses = "  ".join(f"{name} {value}" for name, value in shown.items())
            say(f"step {step}/{self.total_steps}  {losses}  {rate:.1f} images/s")
        self._sums, self._count, self._images, self._seconds = {}, 0, 0, 0.0

    def seconds_a_step(self, step: int) -> float | None:
        """What an update takes, when an estimate is due: once, after `ESTIMATE_AFTER` steps."""
        done = step - self.first_step
        if done != ESTIMATE_AFTER or step >= self.total_steps:
            return None
        self.pause()
        return self._own_seconds / done

    def write(self, record: dict[str, Any]) -> None:
        """Appends one record. Raises CheckpointError, and NonFiniteError for a number that JSON does not know."""
        if bad := [name for name, value in record.items() if not math.isfinite(value)]:
            raise NonFiniteError(
                f"{self.path}: {', '.join(bad)} at step {record['step']} is no number; the checkpoint before is whole: "
                "go on from it with a lower rate (--set optimizer.lr=... --allow-changed optimizer.lr)"
            )
        if not self._writes:
            return
        with writing(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def flush(self) -> None:
        """Brings the records to the disk, so that no checkpoint outlives those before it. Raises CheckpointError."""
        if not self._writes:
            return
        with writing(self.path), open(self.path, "a", encoding="utf-8") as file:
            os.fsync(file.fileno())

    def say(self, line: str) -> None:
        """Prints a line without breaking the bar."""
        with tqdm.external_write_mode() if self.interactive else nullcontext():
            say(line)

    @contextmanager
    def extra(self, what: str) -> Iterator[None]:
        """Keeps a failure in the block from ending the run: the first one of each `what` is reported as a warning.

        Out of memory and Stopped are raised: the run itself has to end.
        """
        try:
            yield
        except (Stopped, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # plotting libraries and their settings can raise anything
            if what not in self._failed:
                self._failed.add(what)
                lines = str(error).splitlines() or [type(error).__name__]
                self.say(f"warning: {what} failed, and training continues without it: {lines[0]}")

    def close(self) -> None:
        """Ends the bar."""
        self.bar.close()


def plot_losses(metrics: Path, picture: Path) -> None:
    """Draws the "Loss Progress" of a metrics.jsonl: each network's loss, and the L1, by step.

    The picture depends on neither the backend nor the style that a person has chosen for matplotlib, and changes
    neither. Raises CheckpointError, and whatever an installation of matplotlib that cannot be imported raises.
    """
    _import_matplotlib()
    import matplotlib as mpl

    records = read_metrics(metrics)
    defaults = {name: mpl.rcParamsDefault[name] for name in mpl.rcParamsDefault if name != "backend"}
    with mpl.rc_context(defaults):
        _draw(records, picture)
    gc.collect()  # a figure is full of circles, which Python by itself takes away long after


def _import_matplotlib() -> None:
    """Imports matplotlib, which takes half a second, even where MPLBACKEND names a backend that is not installed.

    Programs that are started from a notebook inherit the notebook's MPLBACKEND, and matplotlib then refuses to be
    imported. A valid one is set as the import would have set it.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        imported = "matplotlib" in sys.modules
        mpl = importlib.import_module("matplotlib")
        if backend and not imported:
            with suppress(ValueError):
                mpl.rcParams["backend"] = backend
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def _draw(records: list[dict[str, Any]], picture: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set_title("Loss Progress")
    for axes, names in ((upper, ("g/loss", "d/loss")), (lower, ("g/l1", "val/l1"))):
        for name in names:
            points = [(record["step"], record[name]) for record in records if name in record]
            if points:
                axes.plot(*zip(*points, strict=True), label=name, marker="." if len(points) < 30 else None)
        axes.grid(alpha=0.3)
        axes.set_ylabel("loss" if axes is upper else "L1, images in [-1, 1]")
        if axes.has_data():
            axes.legend()
    lower.set_xlabel("step")
    figure.set_dpi(110)
    replace_atomically(picture, lambda path: canvas.print_png(path))
