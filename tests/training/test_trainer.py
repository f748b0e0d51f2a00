"""The loop: what it writes, what it repeats to the bit, what it averages, when it stops."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from runs import after, assert_identical, make_config, without_timing

from pix2pix import Trainer
from pix2pix.config import learning_rate, load_config
from pix2pix.data.augment.apply import to_float
from pix2pix.data.dataset import open_eval_split
from pix2pix.data.formats.image_format import image_formats
from pix2pix.errors import CheckpointError, ConfigError
from pix2pix.models import inference
from pix2pix.runtime.device import pick_device
from pix2pix.training.metrics import MetricsLog, duration, read_metrics
from pix2pix.training.summary import smaller_run_advice
from pix2pix.weights import load_generator_file

VARIANTS = {
    "plain": {},
    "workers": {"data": {"workers": 2, "cache": "off"}},
    "augmented": {
        "data": {"augment": {"quarter_turns": True, "rotation": 10, "scale": [0.8, 1.2], "contrast": 0.5, "hue": 0.1}}
    },
    "ema": {"run": {"ema": 0.9}},
    "bf16": {"run": {"precision": "bf16"}},
    "generator-first": {"schedule": {"update_order": "generator-first"}},
    "batch norm": {"data": {"batch_size": 1}, "model": {"generator": {"base_channels": 2, "dropout_up": [5, 4]}}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopped_anywhere_and_continued_is_identical_to_the_bit(tmp_path, variant):
    """Stopped after every update in turn (in mid-epoch and at its end), continued each time by a new trainer."""

    def config(name: str):
        sections = {key: dict(value) for key, value in VARIANTS[variant].items()}
        output = {"output": str(tmp_path / name), "log_every_steps": 2, "device": "cpu"}
        schedule = {"epochs": 3, "decay_epochs": 1}
        data = make_config(tmp_path).model_dump(mode="json")["data"] | sections.pop("data", {})
        return make_config(
            tmp_path,
            data=data,
            run=output | sections.pop("run", {}),
            schedule=schedule | sections.pop("schedule", {}),
            **sections,
        )

    whole = Trainer(config("whole"))
    assert whole.fit() is True
    for _ in range(20):
        pieces = Trainer(config("pieces"))
        if pieces.fit(stop=after(pieces, 1)):
            break
    else:
        pytest.fail("never finished")
    assert pieces.state.step == whole.state.step == (15 if variant == "batch norm" else 9)
    assert_identical(whole, pieces)
    assert without_timing(tmp_path / "whole" / "metrics.jsonl") == without_timing(tmp_path / "pieces" / "metrics.jsonl")
    for name in ("gen.pt", "dis.pt", "best.pt"):
        a, b = (torch.load(tmp_path / run / name, weights_only=True) for run in ("whole", "pieces"))
        assert all(torch.equal(a["state_dict"][k], b["state_dict"][k]) for k in a["state_dict"])


def test_other_seeds_give_other_weights_and_the_same_seed_the_same(tmp_path):
    trainers = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trainers.append(Trainer(make_config(tmp_path / name, run={"output": str(tmp_path / name), "seed": seed})))
        trainers[-1].fit()
    assert_identical(trainers[0], trainers[1])
    assert not torch.equal(trainers[0].generator.down["1"].conv.weight, trainers[2].generator.down["1"].conv.weight)


def test_learning_rate_is_the_papers_schedule(tmp_path):
    schedule = {"epochs": 200, "decay_epochs": 100}
    trainer = Trainer(make_config(tmp_path, schedule=schedule, optimizer={"lr": 2e-4}))
    for k, factor in ((1, 1.0), (100, 1.0), (101, 1 - 1 / 101), (150, 1 - 50 / 101), (200, 1 / 101)):
        rate = learning_rate(trainer.config, k)
        assert rate == pytest.approx(2e-4 * factor, rel=1e-12)
        trainer.networks.set_learning_rate(rate)
        players = (trainer.networks.g, trainer.networks.d)
        assert [group["lr"] for player in players for group in player.optimizer.param_groups] == [rate, rate]


def test_ema_is_the_average_and_is_what_is_handed_out(tmp_path):
    trainer = Trainer(make_config(tmp_path / "run", run={"output": str(tmp_path / "run"), "ema": 0.75}))
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    average = trainer.generator.down["1"].conv.weight.detach().clone()
    for _ in range(3):
        trainer.train_step(x, -x)
        average = 0.75 * average + 0.25 * trainer.generator.down["1"].conv.weight.detach()
    assert torch.allclose(trainer.ema_generator.down["1"].conv.weight, average, atol=1e-7)
    trainer = Trainer(trainer.config)
    trainer.fit()
    handed = load_generator_file(tmp_path / "run" / "gen.pt").generator.state_dict()
    assert all(torch.equal(value, trainer.ema_generator.state_dict()[name]) for name, value in handed.items())
    assert not torch.equal(handed["down.1.conv.weight"], trainer.generator.down["1"].conv.weight)


def test_validation_and_best(tmp_path):
    trainer = Trainer(make_config(tmp_path / "run"))
    trainer.fit()
    records = [record for record in read_metrics(tmp_path / "run" / "metrics.jsonl") if "val/l1" in record]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    by_hand = []
    val_data = open_eval_split(trainer.config.data, "val", formats=trainer.formats)
    for i in range(len(val_data)):
        pair = val_data[i]
        with inference(trainer.generator):
            fake = trainer.generator(to_float(pair["input"][None]))
        by_hand.append((fake - to_float(pair["target"][None])).abs().mean().item())
    assert records[-1]["val/l1"] == pytest.approx(np.mean(by_hand), rel=1e-5)
    best = min(records, key=lambda record: record["val/l1"])
    assert torch.load(tmp_path / "run" / "best.pt", weights_only=True)["step"] == best["step"]
    assert trainer.state.best == best["val/l1"]


def test_records_are_means_over_their_steps(tmp_path):
    each = Trainer(make_config(tmp_path / "each", run={"output": str(tmp_path / "each"), "log_every_steps": 1}))
    each.fit()
    pairs = Trainer(make_config(tmp_path / "pairs", run={"output": str(tmp_path / "pairs"), "log_every_steps": 2}))
    pairs.fit()
    single = {r["step"]: r for r in read_metrics(tmp_path / "each" / "metrics.jsonl") if "g/l1" in r}
    double = {r["step"]: r for r in read_metrics(tmp_path / "pairs" / "metrics.jsonl") if "g/l1" in r}
    assert list(single) == list(range(1, 10))
    assert list(double) == [2, 4, 6, 8, 9]  # the last step always has one
    for name in ("d/loss", "d/real", "d/fake", "g/loss", "g/gan", "g/l1"):
        assert double[4][name] == pytest.approx((single[3][name] + single[4][name]) / 2, rel=1e-9)
        assert double[9][name] == pytest.approx(single[9][name], rel=1e-9)
    assert single[9]["lr"] == pytest.approx(1e-4)  # the third of three epochs, one of them decaying
    assert single[9]["epoch"] == 3


def test_a_target_condition_needs_equal_channels(tmp_path):
    config = make_config(tmp_path, loss={"generator_condition": "target"})
    assert Trainer(config).state.step == 0
    with pytest.raises(ConfigError, match=r"generator_condition 'target' needs .* 1 and 3; set it to 'input'"):
        _ = Trainer(config, formats=image_formats(1, 3)).networks
    trainer = Trainer(make_config(tmp_path), formats=image_formats(1, 3))
    report = trainer.train_step(torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 32))
    assert torch.isfinite(report["g/loss"])


def test_condition_of_the_generators_update_is_as_configured(tmp_path):
    x, y = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    seen = []
    for condition in ("input", "target"):
        trainer = Trainer(make_config(tmp_path, loss={"generator_condition": condition}))
        trainer.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
        trainer.train_step(x, y)
    assert [torch.equal(c, x) for c in seen] == [True, True, True, True, True, False]
    assert torch.equal(seen[-1], y)


def test_it_learns(tmp_path):
    """Sixty updates on the negative of a picture bring its L1 far below what was there before."""
    trainer = Trainer(make_config(tmp_path, optimizer={"lr": 5e-3}))
    x = torch.rand(2, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 32, 32) * 2 - 1
    first = trainer.train_step(x, -x)["g/l1"].item()
    for _ in range(60):
        last = trainer.train_step(x, -x)["g/l1"].item()
    assert last < 0.4 * first


def test_global_settings_are_left_alone(tmp_path):
    config = make_config(tmp_path / "run", run={"output": str(tmp_path / "run"), "deterministic": True})
    Trainer(config).fit()
    assert not torch.are_deterministic_algorithms_enabled()


def test_metrics_cut_back_drops_what_came_after_the_checkpoint(tmp_path):
    lines = [json.dumps({"step": step}) for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 4, "g/')
    with MetricsLog(tmp_path, 10, 1, first_step=2).opened():
        pass
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]
    (tmp_path / "metrics.jsonl").write_text("nonsense\n" + lines[0] + "\n")
    with pytest.raises(CheckpointError, match=r"metrics.jsonl:1: is not a line of metrics"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_estimate_is_said_after_twenty_steps_with_a_smaller_command(tmp_path, log, monkeypatch):
    monkeypatch.setattr("pix2pix.training.summary.TOO_LONG", 0.001)
    config = make_config(tmp_path / "run", schedule={"epochs": 9, "decay_epochs": 4})
    Trainer(config).fit()
    said = log()
    assert said.count("estimated time: ") == 1
    command = next(line for line in said.splitlines() if "a smaller run: pix2pix train" in line)
    words = command.split("a smaller run: pix2pix ")[1].split()
    overrides = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    smaller = load_config(words[words.index("--config") + 1], overrides)  # the command's config is valid
    assert smaller.schedule.epochs == 1
    assert smaller.schedule.decay_epochs == 0
    assert words[words.index("--output") + 1] == f"{tmp_path / 'run'}-small"


def test_advice_only_above_two_hours(tmp_path):
    wide = make_config(tmp_path, model={"generator": {"base_channels": 64}}, schedule={"epochs": 200})
    assert smaller_run_advice(wide, tmp_path, 7200) is None
    advice = smaller_run_advice(wide, tmp_path, 40 * 3600)
    assert "model.generator.base_channels=16" in advice
    assert "schedule.epochs=60 " in advice  # 200 x 2 h x 6 / 40 h
    own = smaller_run_advice(wide, tmp_path, 40 * 3600, own_parts=True)  # no command has the parts
    assert "schedule.epochs 10 " in own and "--" not in own and "base_channels" not in own
    assert [duration(s) for s in (5, 89.6, 100, 7100, 7300, 40 * 3600)] == [
        "5 s", "90 s", "2 min", "118 min", "2 h 02 min", "40 h 00 min"
    ]  # fmt: skip


def test_trainer_takes_no_signal_handlers(tmp_path):
    """Only the command line installs them."""
    code = "import signal, pix2pix.training.trainer; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


def test_devices_that_are_none(tmp_path):
    for name in ("banana", "cuda:99"):
        with pytest.raises(ConfigError, match=f"'{name}'"):
            pick_device(name)
