"""What a run leaves behind when it fails, and how the next start deals with it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from runs import make_config

from pix2pix import Trainer
from pix2pix.config import dump_config, load_config
from pix2pix.data.images.files import write_image
from pix2pix.errors import CheckpointError, ConfigError, DataError, NonFiniteError
from pix2pix.training.checkpoint_io import list_checkpoints
from pix2pix.training.metrics import read_metrics

WORKERS = {"cache": "off", "workers": 2}


def test_checkpoints_are_pruned_and_damaged_ones_passed_over(tmp_path, log):
    config = make_config(
        tmp_path / "run", run={"output": str(tmp_path / "run"), "keep_checkpoints": 2, "device": "cpu"}
    )
    Trainer(config).fit()
    folder = tmp_path / "run" / "checkpoints"
    best = torch.load(tmp_path / "run" / "best.pt", weights_only=True)["step"]
    assert best == 3  # it stays though it is old
    assert sorted(path.name for path in folder.iterdir()) == [f"step_0000000{step}" for step in (3, 6, 9)]
    state = folder / "step_00000009" / "state.pt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    again = Trainer(config)
    again.fit()
    said = log()
    assert "step_00000009: state.pt is damaged; skipped" in said
    assert "resuming from step 6 (epoch 3)" in said
    assert again.state.step == 9
    assert [path.name for path in list_checkpoints(folder)] == [f"step_0000000{step}" for step in (9, 6, 3)]
    assert (folder / "step_00000009.damaged").is_dir()
    Trainer(config).fit()
    assert "this run is finished" in log()
    for path in list_checkpoints(folder):
        (path / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint there can be used; start again with --fresh"):
        Trainer(config).fit()


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_saved(tmp_path):
    run = {"output": str(tmp_path / "run"), "log_every_steps": 100}
    trainer = Trainer(make_config(tmp_path / "run", run=run, optimizer={"lr": 1e30}))
    with pytest.raises(NonFiniteError, match=r"became infinite or NaN at step \d, with train_"):
        trainer.fit()
    assert not (tmp_path / "run" / "gen.pt").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()
    run["log_every_steps"] = 1
    with pytest.raises(NonFiniteError):
        Trainer(make_config(tmp_path / "b", run=run | {"output": str(tmp_path / "b")}, optimizer={"lr": 1e30})).fit()
    assert all(np.isfinite(record["g/loss"]) for record in read_metrics(tmp_path / "b" / "metrics.jsonl"))


def test_a_run_that_saved_nothing_may_begin_with_another_config(tmp_path):
    config = make_config(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("nonsense: [\n")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1}\n')
    Trainer(config).fit()
    assert load_config(tmp_path / "run" / "config.yaml") == config
    with pytest.raises(ConfigError, match=r"holds a run of another config.*\n  optimizer.lr: was 0.0002, now 0.001"):
        Trainer(make_config(tmp_path / "run", optimizer={"lr": 1e-3})).fit()


def test_weights_that_a_crash_left_behind_their_checkpoint_are_written_again(tmp_path, log):
    config = make_config(tmp_path / "run")
    Trainer(config).fit()
    last = (tmp_path / "run" / "gen.pt").read_bytes()
    content = torch.load(tmp_path / "run" / "gen.pt", weights_only=True)
    torch.save(content | {"step": 3}, tmp_path / "run" / "gen.pt")
    (tmp_path / "run" / "dis.pt").unlink()
    (tmp_path / "run" / "checkpoints" / "step_00000009.tmp-1").mkdir()
    Trainer(config).fit()
    assert "this run is finished" in log()
    assert (tmp_path / "run" / "gen.pt").read_bytes() == last
    assert (tmp_path / "run" / "dis.pt").exists()
    assert not (tmp_path / "run" / "checkpoints" / "step_00000009.tmp-1").exists()


def test_signals_to_the_whole_group_reach_only_the_parent(tmp_path):
    """As a terminal's Ctrl-C does: workers must live until the step is done."""
    code = (
        "import os, signal, sys, threading, time\n"
        "from pix2pix.cli.main import main\n"
        "def later():\n"
        f"    while not os.path.exists({str(tmp_path / 'run' / 'checkpoints')!r}): time.sleep(0.01)\n"
        "    os.killpg(0, signal.SIGTERM)\n"
        "threading.Thread(target=later, daemon=True).start()\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    path = tmp_path / "config.yaml"
    config = make_config(tmp_path / "run", schedule={"epochs": 2000}, data=dict(WORKERS), run={"device": "cpu"})
    path.write_text(dump_config(config), encoding="utf-8")
    command = [sys.executable, "-c", code, "train", "--config", str(path), "--output", str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    assert (result.returncode, result.stderr) == (143, "")
    assert result.stdout.count("stopping after this step") == 1
    assert "all saved" in result.stdout


def test_a_picture_broken_in_its_middle_is_one_line_from_a_worker_too(tmp_path):
    for split in ("train", "val"):
        for i in range(3):
            noise = np.random.default_rng(i).integers(0, 256, (32, 64, 3), dtype=np.uint8)
            write_image(tmp_path / "data" / split / f"{i}.png", noise)
    broken = tmp_path / "data" / "train" / "1.png"
    broken.write_bytes(broken.read_bytes()[:3000])
    for workers in (0, 2):
        data = {"layout": "auto", "root": str(tmp_path / "data"), "cache": "off", "workers": workers, "load_size": 32}
        with pytest.raises(
            DataError, match=r"^\S*1.png: cannot be read as an image \(.*\); remove it or replace it($|; every)"
        ):
            Trainer(make_config(tmp_path / f"run{workers}", data=data)).fit()
