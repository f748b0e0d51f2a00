"""`run.precision: auto`: what is measured, chosen, remembered and resumed."""

import json
from dataclasses import replace

import pytest
import torch
from runs import after, assert_identical, make_config, weights_of

from pix2pix import Trainer
from pix2pix.data.cache.budget import cache_folder
from pix2pix.training import tuning
from pix2pix.training.checkpoint_io import newest_environment
from pix2pix.training.execution import CHANNELS_LAST, PLAIN, Execution, recorded
from pix2pix.training.tuning import choose_execution

BF16 = Execution("bf16", speed_up=2.0)
BOTH = Execution("bf16", CHANNELS_LAST, 2.0)


@pytest.fixture
def always(monkeypatch):
    """Measures even a step of a tiny network."""
    monkeypatch.setattr(tuning, "_TRIVIAL", 0)
    monkeypatch.setattr(tuning, "_LEAST_STEPS", 0)


def choose(trainer: Trainer, **options) -> Execution:
    return choose_execution(trainer.config, trainer.networks, trainer.objective, 5, **options)


def set_times(monkeypatch, **seconds: float) -> None:
    """Makes the measured step of a precision take so long; the channels_last format halves it."""
    time = tuning._Step.time

    def timed(step):
        losses = time(step)
        halved = 2 if step.execution.memory_format == CHANNELS_LAST else 1
        step.seconds = seconds[step.execution.precision] / halved
        return losses

    monkeypatch.setattr(tuning._Step, "time", timed)


def test_measuring_changes_no_number_of_the_run(tmp_path, always):
    trainer = Trainer(make_config(tmp_path, model={"generator": {"base_channels": 2}}))
    before = {name: value.clone() for name, value in weights_of(trainer).items()}
    state = torch.get_rng_state()
    assert choose(trainer).speed_up >= 1
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in weights_of(trainer).items())
    assert all(parameter.grad is None for parameter in trainer.generator.parameters())


@pytest.mark.parametrize(
    ("fp32", "bf16", "expected"),
    [
        (4.0, 2.0, Execution("bf16", CHANNELS_LAST, 4.0)),
        (2.0, 4.0, Execution("fp32", CHANNELS_LAST, 2.0)),
    ],
)
def test_the_fastest_is_chosen_and_remembered(tmp_path, always, monkeypatch, fp32, bf16, expected):
    set_times(monkeypatch, fp32=fp32, bf16=bf16)
    assert choose(Trainer(make_config(tmp_path))) == expected
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: pytest.fail("measured again"))
    assert choose(Trainer(make_config(tmp_path))) == expected
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: BF16)
    assert choose(Trainer(make_config(tmp_path, data={"batch_size": 3}))) == BF16  # another shape is measured


def test_nothing_is_chosen_that_gains_little_or_changes_the_losses(tmp_path, always, monkeypatch):
    set_times(monkeypatch, fp32=1.0, bf16=0.98)
    monkeypatch.setattr(tuning._Step, "agrees", lambda step, _: step.execution.memory_format != CHANNELS_LAST)
    assert choose(Trainer(make_config(tmp_path))) == replace(PLAIN, speed_up=1.0)
    plain, other = (object.__new__(tuning._Step) for _ in range(2))
    for bad in (1.03, 0.97, float("nan")):
        monkeypatch.undo()
        plain.losses, other.losses, other.execution = {"g/l1": 1.0}, {"g/l1": bad}, BF16
        assert not other.agrees(plain)
    other.losses = {"g/l1": 1.019}
    assert other.agrees(plain)


def test_no_measurement_where_it_does_not_pay(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: pytest.fail("measured"))
    assert choose(Trainer(make_config(tmp_path))) == PLAIN  # a trivial step
    monkeypatch.setattr(tuning, "_TRIVIAL", 0)
    assert choose(Trainer(make_config(tmp_path))) == PLAIN  # a short run
    for settings, expected in (({"precision": "bf16"}, "bf16"), ({"deterministic": True}, "fp32")):
        config = make_config(tmp_path, run={"device": "cpu"} | settings, schedule={"epochs": 100})
        assert choose(Trainer(config)) == Execution(expected)


@pytest.mark.parametrize("text", ["", "[]", "{]", '{"KEY": ["fp64", "contiguous", 1.0]}', '{"KEY": ["fp32", 1, NaN]}'])
def test_a_file_of_results_that_cannot_be_read_is_ignored(tmp_path, always, monkeypatch, text):
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: BF16)
    trainer = Trainer(make_config(tmp_path))
    key = tuning._Trial(trainer.config, trainer.networks, trainer.objective).key
    path = cache_folder() / "speed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("KEY", key))
    assert choose(trainer) == BF16
    assert json.loads(path.read_text()) == {key: ["bf16", "contiguous", 2.0]}


def test_a_resumed_run_keeps_the_choice_and_ends_at_the_same_bits(tmp_path, always, monkeypatch, log):
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: BOTH)
    run = {"log_every_steps": 2, "device": "cpu", "ema": 0.9}
    whole = Trainer(make_config(tmp_path / "whole", run=run | {"output": str(tmp_path / "whole")}))
    assert whole.fit() and whole.networks.execution == BOTH and "2.00 times" in log()
    assert whole.generator.down["1"].conv.weight.is_contiguous(memory_format=torch.channels_last)
    config = make_config(tmp_path / "run", run=run | {"output": str(tmp_path / "run")})
    first = Trainer(config)
    assert not first.fit(stop=after(first, 4))
    (cache_folder() / "speed.json").unlink()
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: pytest.fail("measured again"))
    log()
    again = Trainer(config)
    assert again.fit() and again.networks.execution == replace(BOTH, speed_up=None)
    assert "not be identical" not in log()
    assert_identical(whole, again)


def test_another_device_keeps_the_number_format_of_a_run(tmp_path, always, monkeypatch, log):
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: BOTH)
    first = Trainer(make_config(tmp_path))
    assert not first.fit(stop=after(first, 1))
    monkeypatch.setattr(tuning, "device_name", lambda _: "a GPU")
    monkeypatch.setattr(tuning._Trial, "fastest", lambda _: pytest.fail("measured again"))
    again = Trainer(make_config(tmp_path))
    log()
    assert not again.fit(stop=after(again, 1)) and again.networks.execution == Execution("bf16")
    assert "memory_format was channels_last, now contiguous" in log()


def test_measuring_ends_with_its_time(tmp_path, always, monkeypatch):
    monkeypatch.setattr(tuning, "_BUDGET", 4.0)
    trainer = Trainer(make_config(tmp_path))
    clock = iter(range(10**6))
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(clock) / 50)  # each layer takes 20 ms
    backwards = []
    require_time = tuning._Trial.require_time
    monkeypatch.setattr(tuning._Trial, "require_time", lambda t, *a: (backwards.append(len(a)), require_time(t, *a))[1])
    assert choose(trainer) == PLAIN
    assert 1 in backwards and next(clock) < 4.2 * 50  # the time is checked in backward passes too
    assert not (cache_folder() / "speed.json").exists()


def test_a_step_that_lacks_memory_is_not_chosen(tmp_path, always, monkeypatch):
    time = tuning._Step.time

    def timed(step):
        if step.execution != PLAIN:
            raise MemoryError
        return time(step)

    monkeypatch.setattr(tuning._Step, "time", timed)
    assert choose(Trainer(make_config(tmp_path))) == PLAIN
    assert not (cache_folder() / "speed.json").exists()


def test_networks_that_cannot_be_copied_are_not_measured(tmp_path, always):
    trainer = Trainer(make_config(tmp_path))
    first = next(trainer.generator.parameters())
    trainer.generator.kept = 2 * first  # as a layer that stores its attention; deepcopy refuses it
    assert choose(trainer) == PLAIN


def test_what_a_checkpoint_records(tmp_path, log):
    trainer = Trainer(make_config(tmp_path))
    assert not trainer.fit(stop=after(trainer, 1))
    saved = newest_environment(tmp_path / "checkpoints")
    assert (saved["precision"], saved["memory_format"]) == ("fp32", "contiguous")
    assert recorded(saved) == PLAIN
    early = {name: value for name, value in saved.items() if name != "memory_format"} | {"precision": "auto"}
    assert recorded(early) == PLAIN
    for bad in (None, [], saved | {"precision": "fp64"}, saved | {"memory_format": 3}):
        assert recorded(bad) is None
