"""The records of a run: on the disk when a checkpoint is, and what is said of one that is gone or no number."""

import errno
import gc
import json
import math
import os
import shutil
from pathlib import Path

import pytest
from runs import make_config

from pix2pix import Trainer, keeping
from pix2pix.errors import CheckpointError, NonFiniteError
from pix2pix.runtime import distributed
from pix2pix.tracking import Tracker, plot_losses, read_metrics


def tracker(folder: Path, step: int = 0) -> Tracker:
    return Tracker(folder, total_steps=10, log_every=1, step=step)


def test_flush_brings_the_records_to_the_disk(tmp_path, monkeypatch):
    run, flushed = tracker(tmp_path), []
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
    run = tracker(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", away)
        with pytest.raises(CheckpointError, match=r"metrics.jsonl: cannot be written \(Input/output error\)"):
            run.flush()
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"metrics.jsonl: cannot be written \(\S+run is gone\); put it back"):
        run.flush()


def test_only_the_first_rank_flushes(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(os, "fsync", lambda handle: pytest.fail("it is not this rank's"))
    tracker(tmp_path).flush()
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_none_is_named_with_its_step_and_the_run_goes_on_from_before(tmp_path):
    run = tracker(tmp_path)
    for value in (math.nan, math.inf):
        with pytest.raises(NonFiniteError) as caught:
            run.write({"step": 7, "epoch": 2, "val/l1": value})
        assert str(caught.value) == (
            f"{tmp_path / 'metrics.jsonl'}: val/l1 at step 7 is no number; the checkpoint before is whole: go on from "
            "it with a lower rate (--set optimizer.lr=... --allow-changed optimizer.lr)"
        )
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_records_that_are_gone_are_missed(tmp_path, capsys):
    tracker(tmp_path).write({"step": 3})
    tracker(tmp_path, step=3)
    assert capsys.readouterr().out == ""
    (tmp_path / "metrics.jsonl").unlink()
    tracker(tmp_path, step=3).write({"step": 4})
    assert capsys.readouterr().out == f"{tmp_path / 'metrics.jsonl'} is gone: its records begin anew at step 3\n"
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [{"step": 4}]


def test_a_checkpoint_comes_after_its_records(tmp_path, monkeypatch):
    done = []
    for owner, name in ((Tracker, "flush"), (keeping, "save_checkpoint")):
        call = getattr(owner, name)
        noted = lambda *args, call=call, name=name, **options: (done.append(name), call(*args, **options))  # noqa: E731
        monkeypatch.setattr(owner, name, noted)
    Trainer(make_config(tmp_path / "run")).fit()
    assert done == ["flush", "save_checkpoint"] * 3


def test_no_figure_outlives_its_picture(tmp_path):
    gc.collect()
    gc.disable()
    try:
        tracker(tmp_path).write({"step": 1, "g/loss": 0.5})
        plot_losses(tmp_path / "metrics.jsonl", tmp_path / "loss.png")
        assert not [one for one in gc.get_objects() if type(one).__name__ == "Figure"]
    finally:
        gc.enable()
    assert (tmp_path / "loss.png").exists()
