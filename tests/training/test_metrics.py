"""The records of a run: on the disk when a checkpoint is, and what is said of one that is gone or no number."""

import errno
import gc
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from runs import make_config

from pix2pix import Trainer
from pix2pix.errors import CheckpointError, NonFiniteError
from pix2pix.runtime import distributed
from pix2pix.runtime.signals import Stopped
from pix2pix.training import checkpointer, evaluator
from pix2pix.training.metrics import MetricsLog, plot_losses, read_metrics


def metrics_log(folder: Path, step: int = 0) -> MetricsLog:
    return MetricsLog(folder, total_steps=10, log_every=1, first_step=step)


def test_flush_brings_the_records_to_the_disk(tmp_path, monkeypatch):
    run, flushed = metrics_log(tmp_path), []
    run.write({"step": 1, "g/l1": 0.5})
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append((os.fstat(handle).st_ino, os.fstat(handle).st_size)))
    run.flush()
    path = tmp_path / "metrics.jsonl"
    assert flushed == [(path.stat().st_ino, len('{"step": 1, "g/l1": 0.5}\n'))]
    assert read_metrics(path) == [{"step": 1, "g/l1": 0.5}]


def test_what_cannot_be_flushed_is_told_by_its_name(tmp_path, monkeypatch):
    def away(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "run").mkdir()
    run = metrics_log(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", away)
        with pytest.raises(CheckpointError, match=r"metrics.jsonl: cannot be written \(Input/output error\)"):
            run.flush()
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"metrics.jsonl: cannot be written \(\S+run is gone\)"):
        run.flush()


def test_only_the_first_rank_flushes(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(os, "fsync", lambda handle: pytest.fail("it is not this rank's"))
    metrics_log(tmp_path).flush()
    assert not list(tmp_path.iterdir())


def test_a_non_finite_number_is_named_with_its_step_and_not_written(tmp_path):
    log = metrics_log(tmp_path)
    for value in (math.nan, math.inf):
        with pytest.raises(NonFiniteError) as caught:
            log.write({"step": 7, "epoch": 2, "val/l1": value})
        assert all(word in str(caught.value) for word in (str(tmp_path / "metrics.jsonl"), "val/l1", "step 7"))
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_missing_records_are_reported(tmp_path, log):
    with metrics_log(tmp_path).opened() as records:
        records.write({"step": 3})
    with metrics_log(tmp_path, step=3).opened():
        assert log() == ""
    (tmp_path / "metrics.jsonl").unlink()
    with metrics_log(tmp_path, step=3).opened() as records:
        records.write({"step": 4})
    assert str(tmp_path / "metrics.jsonl") in log()
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [{"step": 4}]


def test_a_checkpoint_comes_after_its_records(tmp_path, monkeypatch):
    done = []
    for owner, name in ((MetricsLog, "flush"), (checkpointer, "save_checkpoint")):
        call = getattr(owner, name)

        def noted(*args, call=call, name=name, **options):
            done.append(name)
            return call(*args, **options)

        monkeypatch.setattr(owner, name, noted)
    Trainer(make_config(tmp_path / "run")).fit()
    assert done == ["flush", "save_checkpoint"] * 3


def test_no_figure_outlives_its_picture(tmp_path):
    gc.collect()
    gc.disable()
    try:
        metrics_log(tmp_path).write({"step": 1, "g/loss": 0.5})
        plot_losses(tmp_path / "metrics.jsonl", tmp_path / "loss.png")
        assert not [one for one in gc.get_objects() if type(one).__name__ == "Figure"]
    finally:
        gc.enable()
    assert (tmp_path / "loss.png").exists()


ODD_RECORDS = [
    *(
        '{"step": 1, "g/l1": [0.5]}',
        '{"step": 1, "g/l1": {}}',
        '{"step": 1, "g/l1": "0.5"}',
        '{"step": 1, "g/l1": null}',
    ),
    *('{"step": 1, "g/l1": NaN}', '{"step": 1, "g/l1": -Infinity}', '{"step": 1, "g/l1": 1e999}'),
    *('{"step": 1, "g/l1": true}', '{"step": true}', '{"step": 1.0}', '{"step": -1}', '{"step": [1]}', "{}", "[]", "1"),
    *('{"step": 1, "g/l1": ' + "[" * 100_000, "[" * 100_000, '{"step": 1, "g/l1": 1' + "0" * 400 + "}", "1" * 5000, ""),
]


@pytest.mark.parametrize("line", ODD_RECORDS, ids=range(len(ODD_RECORDS)))
def test_odd_metrics_are_refused_by_their_line(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1, "g/l1": 0.5}}\n{line}\n{{"step": 2, "g/l1": 0.25}}\n')
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl:2: is not a line of metrics; fix or remove the line"):
        read_metrics(path)


def test_metrics_that_are_no_file_are_refused(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")  # whose reading would never end
    with pytest.raises(CheckpointError, match="is not a regular file; move it away"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_a_failing_extra_is_reported_once_and_what_must_end_a_run_is_raised(tmp_path, log):
    run = metrics_log(tmp_path)
    for message in ("first\nmore", "second"):
        with run.optional("the loss plot"):
            raise RuntimeError(message)
    with run.optional("the sample grid"):
        raise KeyError
    said = log().splitlines()
    assert ["the loss plot" in said[0], said[0].endswith(": first")] == [True, True]
    assert ["the sample grid" in said[1], said[1].endswith(": KeyError"), len(said)] == [True, True, 2]
    for ending in (Stopped, MemoryError, torch.OutOfMemoryError, KeyboardInterrupt):
        with pytest.raises(ending), run.optional("the loss plot"):
            raise ending


def test_the_plot_takes_no_style_from_others_and_leaves_theirs(tmp_path):
    metrics_log(tmp_path).write({"step": 1, "g/loss": 0.5})
    plot_losses(tmp_path / "metrics.jsonl", tmp_path / "plain.png")
    with mpl.rc_context({"text.usetex": True, "figure.facecolor": "red", "savefig.dpi": 30, "font.size": 30}):
        before = dict(mpl.rcParams)
        plot_losses(tmp_path / "metrics.jsonl", tmp_path / "styled.png")
        assert dict(mpl.rcParams) == before
    assert (tmp_path / "styled.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


@pytest.mark.parametrize(
    ("backend", "settings", "said"),
    [
        ("module://matplotlib_inline.backend_inline", b"", ""),
        ("nonsense", b"text.usetex: True", ""),
        (None, b"backend: nonsense\nno colon", ""),
        (None, b"\xff\xfe\0 not text", "UnicodeDecodeError"),
    ],
)
def test_broken_settings_of_matplotlib(tmp_path, backend, settings, said):
    """A program of its own, since matplotlib reads them when it is imported."""
    metrics_log(tmp_path).write({"step": 1, "g/loss": 0.5})
    (tmp_path / "matplotlibrc").write_bytes(settings)
    script = """
import os
from pathlib import Path
from pix2pix.training.metrics import plot_losses
plot_losses(Path("metrics.jsonl"), Path("loss.png"))
print(os.environ.get("MPLBACKEND"))
"""
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    environment |= {"MPLBACKEND": backend} if backend else {}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (tmp_path / "loss.png").exists() == (done.returncode == 0) == (not said), done.stderr
    assert said in done.stderr and (said or done.stdout == f"{backend}\n")


def test_the_checkpoint_comes_before_the_pictures_and_survives_them(tmp_path, monkeypatch, log):
    seen = []

    def broken(name):
        def fail(*_):
            seen.append((name, len(list((tmp_path / "run/checkpoints").glob("step_*")))))
            raise ValueError("broken")

        return fail

    monkeypatch.setattr(evaluator, "PLOT_SECONDS", 0)
    monkeypatch.setattr(evaluator, "plot_losses", broken("plot"))
    monkeypatch.setattr(evaluator, "write_sample_grid", broken("grid"))
    assert Trainer(make_config(tmp_path / "run")).fit()
    assert seen == [(name, epoch) for epoch in (1, 2, 3) for name in ("plot", "grid")]
    said = log()
    assert said.count("the loss plot failed") == said.count("the sample grid failed") == 1


@pytest.mark.parametrize(("seconds", "plots"), [(0, [3, 6, 9]), (100, [9])])
def test_losses_are_plotted_at_intervals_and_at_the_end(tmp_path, monkeypatch, seconds, plots):
    steps = []
    monkeypatch.setattr(evaluator, "PLOT_SECONDS", seconds)
    monkeypatch.setattr(evaluator, "plot_losses", lambda metrics, _: steps.append(read_metrics(metrics)[-1]["step"]))
    assert Trainer(make_config(tmp_path / "run")).fit()
    assert steps == plots
