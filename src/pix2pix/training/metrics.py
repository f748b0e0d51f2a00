"""Metrics of a run: metrics.jsonl, the progress bar or log lines, and the loss plot."""

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

from torch import Tensor
from tqdm import tqdm

from pix2pix.errors import CheckpointError, NonFiniteError, Pix2PixError, is_out_of_memory
from pix2pix.runtime import distributed, log
from pix2pix.runtime.io import replace_atomically, writing
from pix2pix.training.state import TrainState

METRICS = "metrics.jsonl"
ESTIMATE_AFTER = 20  # steps
# Raised by plotting libraries with a broken installation or broken settings, and by reading and writing files.
_FAILURES: tuple[type[Exception], ...] = (ArithmeticError, AttributeError, ImportError, LookupError, OSError)
_FAILURES += (Pix2PixError, RuntimeError, TypeError, ValueError)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the records of a metrics.jsonl; a last line that a crash cut short is skipped.

    A record is an object of finite numbers with an integer `step`. Raises CheckpointError for any other line.
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
    """Return the record on a line, or None where the line holds anything else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # deep brackets
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    return record if all(_is_number(value) for value in record.values()) else None


def _is_number(value: object) -> bool:
    """Return whether a value is a finite number that a double can hold; True and False are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # false for NaN


def duration(seconds: float) -> str:
    """Format seconds as text, in a unit that suits their size."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


class MetricsLog:
    """Log the mean of each metric every few steps, and show the progress of the run.

    A record is appended to `metrics.jsonl` in `directory` every `log_every` steps; its `images_per_second` excludes
    validation and saving. Only the first rank writes. Use it within the context `opened()`.
    """

    def __init__(self, directory: Path, total_steps: int, log_every: int, first_step: int = 0):
        self.path, self.total_steps, self.log_every = directory / METRICS, total_steps, log_every
        self.first_step = first_step
        self._images, self._seconds, self._total_seconds = 0, 0.0, 0.0
        self._resumed_at = time.perf_counter()
        self._writes = distributed.rank() == 0
        self._failed: set[str] = set()  # optional outputs whose failure has been reported already
        self._interactive = self._writes and not log.bar_disabled() and sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None

    @contextmanager
    def opened(self) -> Iterator["MetricsLog"]:
        """Drop the records after `first_step`, and show a progress bar on a terminal. Raises CheckpointError."""
        if self._writes:
            self._truncate_after(self.first_step)
        with tqdm(
            total=self.total_steps,
            initial=self.first_step,
            unit="step",
            disable=not self._interactive,
            dynamic_ncols=True,
        ) as self._bar:
            self._resumed_at = time.perf_counter()
            yield self

    def _truncate_after(self, step: int) -> None:
        if step > 0 and not self.path.exists():
            log.info(f"{self.path} is gone: its records start again at step {step}")
        kept = [record for record in read_metrics(self.path) if record["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        replace_atomically(self.path, lambda path: path.write_text(text, encoding="utf-8"))

    def pause(self) -> None:
        """Stop the clock behind `images_per_second` while something other than training runs."""
        now = time.perf_counter()
        self._seconds += now - self._resumed_at
        self._total_seconds += now - self._resumed_at
        self._resumed_at = now

    def resume(self) -> None:
        """Restart the clock."""
        self._resumed_at = time.perf_counter()

    def step(self, state: TrainState, metrics: dict[str, Tensor], images: int, **facts: float) -> None:
        """Count one update. `metrics` are scalars on any device; they are read only when a record is due."""
        state.running.add(metrics)
        self._images += images
        if self._bar is not None:
            self._bar.update()
        if self.is_due(state.step):
            self._record(state, **facts)

    def is_due(self, step: int) -> bool:
        """Return whether a record is written after this step."""
        return step % self.log_every == 0 or step == self.total_steps

    def _record(self, state: TrainState, **facts: float) -> None:
        means = state.running.means()
        self.pause()
        rate = self._images / max(self._seconds, 1e-9)
        self.write({"step": state.step, **facts, **means, "images_per_second": round(rate, 3)})
        shown = {name: f"{value:.4g}" for name, value in means.items()}
        if self._interactive and self._bar is not None:
            self._bar.set_postfix({**shown, "images/s": f"{rate:.1f}"})
        else:
            losses = "  ".join(f"{name} {value}" for name, value in shown.items())
            log.info(f"step {state.step}/{self.total_steps}  {losses}  {rate:.1f} images/s")
        state.running.clear()
        self._images, self._seconds = 0, 0.0

    def seconds_per_step(self, step: int) -> float | None:
        """Return the seconds per update once, after `ESTIMATE_AFTER` steps; None at every other step."""
        done = step - self.first_step
        if done != ESTIMATE_AFTER or step >= self.total_steps:
            return None
        self.pause()
        return self._total_seconds / done

    def write(self, record: dict[str, Any]) -> None:
        """Append one record. Raises CheckpointError, and NonFiniteError for a number that is infinite or NaN."""
        if bad := [name for name, value in record.items() if not math.isfinite(value)]:
            raise NonFiniteError(
                f"{self.path}: {', '.join(bad)} at step {record['step']} is infinite or NaN; the checkpoint before is "
                "whole: resume from it with a lower rate (--set optimizer.lr=... --allow-changed optimizer.lr)"
            )
        if not self._writes:
            return
        with writing(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def flush(self) -> None:
        """Flush the records to the disk, so that a checkpoint never exists without them. Raises CheckpointError."""
        if not self._writes:
            return
        with writing(self.path), open(self.path, "a", encoding="utf-8") as file:
            os.fsync(file.fileno())

    def info(self, line: str) -> None:
        """Log a line without breaking the progress bar."""
        with tqdm.external_write_mode() if self._interactive else nullcontext():
            log.info(line)

    def warning(self, line: str) -> None:
        """Log a warning without breaking the progress bar."""
        with tqdm.external_write_mode() if self._interactive else nullcontext():
            log.warning(line)

    @contextmanager
    def optional(self, what: str) -> Iterator[None]:
        """Catch a failure in the block, so that training continues; log the first one of each `what` as a warning.

        Running out of memory and Stopped are not caught, since they must end the run.
        """
        try:
            yield
        except _FAILURES as error:
            if is_out_of_memory(error):
                raise
            if what not in self._failed:
                self._failed.add(what)
                lines = str(error).splitlines() or [type(error).__name__]
                self.warning(f"{what} failed, and training continues without it: {lines[0]}")


def validated(metrics: Path, step: int) -> float | None:
    """Return the validation L1 that a run has recorded for a step, or None. Raises CheckpointError."""
    records = [record for record in read_metrics(metrics) if record["step"] == step]
    return next((record["val/l1"] for record in records if "val/l1" in record), None)


def plot_losses(metrics: Path, picture: Path) -> None:
    """Plot the "Loss Progress" of a metrics.jsonl: each network's loss, and the L1, by step.

    The plot ignores the user's matplotlib backend and style, and leaves them unchanged. Raises CheckpointError, and any
    exception of a broken matplotlib.
    """
    _import_matplotlib()
    import matplotlib as mpl

    records = read_metrics(metrics)
    defaults: dict[Any, Any] = {name: mpl.rcParamsDefault[name] for name in mpl.rcParamsDefault if name != "backend"}
    with mpl.rc_context(defaults):
        _draw(records, picture)
    gc.collect()  # frees the figure now: its reference cycles would wait for the garbage collector


def _import_matplotlib() -> None:
    """Import matplotlib, which takes half a second, even where MPLBACKEND names a backend that is not installed.

    A program that is started from a notebook inherits the notebook's MPLBACKEND, and importing matplotlib then fails.
    A valid backend is set afterwards, as the import would have set it.
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
    FigureCanvasAgg(figure)
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
    replace_atomically(picture, lambda path: figure.savefig(path, format="png"))
