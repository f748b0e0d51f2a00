"""Numbers that are not finite: never applied, never saved, named; and pictures that say that nothing is learned."""

import math

import numpy as np
import pytest
import torch
from runs import after, make_config, weights_of

from pix2pix import Trainer, losses
from pix2pix.data.formats.image_format import RGB, PairFormat
from pix2pix.errors import CheckpointError, NonFiniteError
from pix2pix.training.divergence import DivergenceCheck
from pix2pix.training.evaluator import collapse
from pix2pix.training.metrics import read_metrics
from pix2pix.training.networks import Networks
from pix2pix.weights import load_generator_file

BAD = (math.nan, math.inf)


def spoil_gradient(network: torch.nn.Module, value: float, trainer: Trainer, at: int) -> None:
    """From a hook, in the step's backward pass: what an overflow in it would leave."""
    parameter = next(network.parameters())
    parameter.register_hook(lambda gradient: gradient * value if trainer.state.step == at else gradient)


def spoil(kind: str, trainer: Trainer, at: int, value: float, monkeypatch) -> None:
    """Makes one number of the update after `at` others not finite."""
    if kind in ("input", "target"):
        step = trainer.train_step

        def train_step(x, y, *rest):
            (x if kind == "input" else y)[0, 0, 0, 0] *= value if trainer.state.step == at else 1
            return step(x, y, *rest)

        monkeypatch.setattr(trainer, "train_step", train_step)
    elif kind.endswith("gradient"):
        spoil_gradient(trainer.generator if kind[0] == "g" else trainer.discriminator, value, trainer, at)
    elif kind == "g/l1":
        l1 = losses.l1
        monkeypatch.setattr(losses, "l1", lambda *a: l1(*a) * (value if trainer.state.step == at else 1))
    elif kind == "d/real":
        bce = losses.ADVERSARIAL["bce"]
        spoilt = lambda logits, real: bce(logits, real) * (value if trainer.state.step == at and real else 1)  # noqa: E731
        monkeypatch.setitem(losses.ADVERSARIAL, "bce", spoilt)
    else:
        network = trainer.generator if kind[0] == "g" else trainer.discriminator

        def hook(*_):
            if trainer.state.step == at:
                next(network.parameters()).data.view(-1)[0] = value

        network.register_forward_pre_hook(hook)


KINDS = ["input", "target", "d/gradient", "g/gradient", "g/l1", "d/real", "g weights", "d weights"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", BAD)
def test_nothing_of_it_is_applied_or_saved_and_it_is_named(tmp_path, monkeypatch, kind, value):
    at = 4  # of nine: the second epoch's second
    run = {"output": str(tmp_path / "run"), "log_every_steps": 100}
    good = Trainer(make_config(tmp_path / "run", run=run))
    assert not good.fit(stop=after(good, at))
    trainer = Trainer(good.config)
    spoil(kind, trainer, at, value, monkeypatch)
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit()
    message, order = str(caught.value), [name for name in trainer.state.recent_indices[at + 1].tolist()]
    files = ", ".join(f"train_{index:04d}" for index in order)
    assert f"at step {at + 1}, with {files};" in message, message
    term = {"input": "d/", "target": "d/real", "g weights": "d/fake", "d weights": "d/real"}.get(kind, kind)
    assert term in message and f"the last checkpoint is that of step {at})" in message
    if kind in ("d/gradient", "d/real", "input", "target", "d weights"):  # nothing at all of the step
        changed = [k for k, v in weights_of(trainer).items() if not torch.equal(v, weights_of(good)[k])]
        assert set(changed) <= {"discriminator.layers.1.conv.weight"} if kind == "d weights" else not changed, changed
    elif kind != "g weights":
        assert all(torch.equal(v, good.generator.state_dict()[k]) for k, v in trainer.generator.state_dict().items())
    monkeypatch.undo()
    again = Trainer(good.config)
    assert again.fit() and again.state.step == 9  # the last good checkpoint is the newest
    assert all(value.isfinite().all() for value in weights_of(again).values())


def test_a_broken_picture_is_named_by_its_file(tmp_path):
    trainer = Trainer(make_config(tmp_path / "run"))
    x = torch.zeros(1, 3, 32, 32)
    trainer.train_step(x, x * math.nan)
    assert trainer.guard.first() == (1, ["d/loss", "d/real", "d/gradient"])

    class Data:
        formats = PairFormat(RGB.input * 2, RGB.target)

        def __getitem__(self, i):
            bad = {self.broken} if i == 7 else set()
            return {key: torch.full((2,), math.nan if key in bad else 0.0) for key in self.formats.parts}

        def files(self, i):
            return [f"{i}.png"]

    check = DivergenceCheck(tmp_path, trainer.guard, trainer.networks, Data())
    trainer.state.recent_indices[1] = torch.tensor([3, 7])
    for Data.broken in ("input", "input_2", "target"):
        with pytest.raises(NonFiniteError, match=r"d/loss, d/real, d/gradient became .* at step 1, in 7.png; "):
            check.require_finite(trainer.state)


def test_it_stays_latched_and_a_loop_of_ones_own_may_look(tmp_path):
    trainer = Trainer(make_config(tmp_path / "run"))
    x = torch.rand(2, 3, 32, 32)
    trainer.train_step(x, x)
    assert trainer.guard.first() is None
    before = {k: v.clone() for k, v in weights_of(trainer).items()}
    trainer.train_step(x * math.inf, x)
    trainer.train_step(x, x)
    assert trainer.guard.first()[0] == 2
    after = weights_of(trainer)
    assert [k for k in before if not torch.equal(before[k], after[k])] == []


def test_divergence_has_its_own_exit_code_and_metrics_stay_numbers(tmp_path):
    run = {"output": str(tmp_path / "run"), "log_every_steps": 1}
    with pytest.raises(NonFiniteError, match="no checkpoint yet") as caught:
        Trainer(make_config(tmp_path / "run", run=run, optimizer={"lr": 1e30})).fit()
    assert caught.value.exit_code == 5
    assert all(math.isfinite(record["g/loss"]) for record in read_metrics(tmp_path / "run" / "metrics.jsonl"))


@pytest.mark.parametrize("value", BAD)
def test_weights_that_are_not_finite_are_refused_on_reading(trained, value):
    content = torch.load(trained / "gen.pt", weights_only=True)
    content["state_dict"]["down.1.conv.weight"].view(-1)[3] = value
    torch.save(content, trained / "gen.pt")
    with pytest.raises(CheckpointError, match=r"gen.pt: holds weights that are infinite or not a number; give another"):
        load_generator_file(trained / "gen.pt")


def test_collapse_is_told_from_pictures():
    inputs = [np.full((4, 4, 3), 40 * i, np.uint8) for i in range(3)]
    ramp = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert collapse(inputs, [np.full((4, 4, 3), i, np.uint8) for i in (0, 90, 255)]) == (
        "each translation is of a single colour"
    )
    assert collapse(inputs, [ramp, ramp + 1, ramp]) == "different inputs have the same translation"
    assert collapse(inputs, [ramp, ramp + 90, ramp]) is None
    assert collapse(inputs[:1], [ramp]) is None
    assert collapse([inputs[0]] * 2, [ramp, ramp]) is None  # it is one picture


def test_collapse_is_said_with_the_step_and_a_picture(tmp_path, log, monkeypatch):
    monkeypatch.setattr(Networks, "translate", lambda self, x: torch.zeros_like(x))
    Trainer(make_config(tmp_path / "run")).fit()
    said = log()
    picture = tmp_path / "run" / "samples" / "epoch_0002.png"
    assert any(str(picture) in line and "step 6" in line and "single colour" in line for line in said.splitlines())
    assert picture.exists()
