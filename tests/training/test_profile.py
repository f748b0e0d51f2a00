"""`train --profile`: the times by phase, the trace, and a run that resumes as if it had not been profiled."""

import json
import re
import time
from pathlib import Path

import torch
from commands import TINY, pix2pix
from runs import assert_identical, make_config

from pix2pix import Trainer
from pix2pix.training import profile
from pix2pix.training.profile import Phases, ProfiledTrainer

ROWS = ["data", "transfer", "generator", "discriminator", "optimizer", "host overhead", "step"]


def test_the_time_of_a_phase_excludes_those_within_it():
    phases = Phases(torch.device("cpu"))
    with phases("generator"):
        time.sleep(0.02)
        with phases("optimizer"):
            time.sleep(0.05)
    assert 0.02 <= phases.seconds["generator"] < 0.045 and 0.05 <= phases.seconds["optimizer"] < 0.09


def test_a_profile_is_logged_and_traced_and_the_run_resumes(tmp_path, monkeypatch, log):
    for name, steps in (("WARM_UP", 1), ("TIMED", 2), ("TRACED", 1)):
        monkeypatch.setattr(profile, name, steps)
    whole = Trainer(make_config(tmp_path / "whole"))
    assert whole.fit()
    log()
    profiled = ProfiledTrainer(make_config(tmp_path / "run"))
    assert not profiled.fit() and profiled.complete and profiled.state.step == 4
    rows = dict(re.findall(r"^  (\D+?) +([\d.]+) ms", log(), re.MULTILINE))
    assert list(rows) == ROWS
    times = {name: float(value) for name, value in rows.items()}
    assert abs(sum(times.values()) - 2 * times["step"]) < 0.1 and all(value >= 0 for value in times.values())
    assert times["generator"] > times["transfer"]
    events = json.loads((tmp_path / "run" / "profile.json").read_text())["traceEvents"]
    names = [event.get("name") for event in events]
    assert names.count("optimizer") == 2 and "aten::_fused_adam_" in names
    again = Trainer(make_config(tmp_path / "run"))
    assert again.fit()
    assert_identical(whole, again)


def test_the_command_ends_without_an_error(monkeypatch):
    for name in ("WARM_UP", "TIMED", "TRACED"):
        monkeypatch.setattr(profile, name, 1)
    result = pix2pix("train", *TINY, "--output", "run", "--profile")
    assert result.code == 0 and result.err == "" and "stopped at step 3" in result.out
    assert Path("run/profile.json").exists()


def test_a_run_that_ends_too_early_ends_the_trace_and_warns(tmp_path, monkeypatch, log):
    for name, steps in (("WARM_UP", 1), ("TIMED", 7), ("TRACED", 2)):  # the run has 9 steps
        monkeypatch.setattr(profile, name, steps)
    trainer = ProfiledTrainer(make_config(tmp_path))
    assert trainer.fit() and not trainer.complete
    assert "takes 10 steps, and 9 were done" in log()
    assert not torch.autograd.profiler._is_profiler_enabled and not (tmp_path / "profile.json").exists()
