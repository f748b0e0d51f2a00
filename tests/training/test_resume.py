"""Going on with a run: what may change, what is refused, what is said."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from commands import TINY, pairs, picture, pix2pix
from runs import after, assert_identical, make_config, without_timing

from pix2pix import Trainer
from pix2pix.config import config_keys, load_config
from pix2pix.errors import CheckpointError, ConfigError, DataError
from pix2pix.training.checkpoint_io import load_step
from pix2pix.training.evaluator import Evaluator
from pix2pix.training.resume import MUTABLE_KEYS
from pix2pix.weights import load_generator_file


def stopped(config, steps: int) -> Trainer:
    """A run that was stopped after so many steps."""
    trainer = Trainer(config)
    assert not trainer.fit(stop=after(trainer, steps))
    return trainer


def test_harmless_keys_are_keys_and_change_freely(tmp_path, log):
    config = make_config(tmp_path / "run")
    assert set(config_keys(config)) >= MUTABLE_KEYS
    whole = Trainer(make_config(tmp_path / "whole"))
    whole.fit()
    stopped(config, 4)
    changed = make_config(
        tmp_path / "run",
        data=config.data.model_dump() | {"workers": 1, "cache": "off"},
        run={
            "output": str(tmp_path / "run"),
            "device": "auto" if not torch.cuda.is_available() else "cpu",
            "log_every_steps": 3,
            "checkpoint_every_epochs": 2,
            "keep_checkpoints": 2,
            "sample_every_epochs": 0,
            "sample_pairs": 1,
            "validate_every_epochs": 0,
        },
    )
    log()
    again = Trainer(changed)
    again.fit()
    assert "allow-changed" not in log()
    assert_identical(whole, again)
    assert load_config(tmp_path / "run" / "config.yaml") == changed


def test_other_keys_are_refused_with_the_difference_unless_allowed(tmp_path, log):
    stopped(make_config(tmp_path / "run"), 4)
    changes = {"optimizer": {"lr": 1e-3, "betas": (0.9, 0.99)}, "loss": {"lambda_l1": 50.0}}
    config = make_config(tmp_path / "run", **changes)
    with pytest.raises(ConfigError) as caught:
        Trainer(config).fit(allow_changed=["optimizer"])
    lines = str(caught.value).splitlines()
    assert "--allow-changed KEY" in lines[0] and lines[1:] == ["  loss.lambda_l1: was 100.0, now 50.0"]
    assert load_config(tmp_path / "run" / "config.yaml").loss.lambda_l1 == 100
    trainer = Trainer(config)
    trainer.fit(allow_changed=["optimizer", "loss.lambda_l1"])
    said = log()
    assert "optimizer.lr was 0.0002, now 0.001 (allowed by --allow-changed)" in said
    assert trainer.networks.g.optimizer.param_groups[0]["betas"] == (0.9, 0.99)
    assert without_timing(tmp_path / "run" / "metrics.jsonl")[-2]["lr"] == pytest.approx(5e-4)
    assert load_config(tmp_path / "run" / "config.yaml") == config


def test_what_cannot_be_allowed(tmp_path):
    with pytest.raises(ConfigError, match=r"--allow-changed optimiser.lr: no such key; did you mean 'optimizer.lr'\?"):
        Trainer(make_config(tmp_path / "run")).fit(allow_changed=["optimiser.lr"])
    stopped(make_config(tmp_path / "run"), 4)
    wider = make_config(tmp_path / "run", model={"discriminator": {"base_channels": 4, "n_layers": 2}})
    with pytest.raises(CheckpointError, match=r"step 4 holds networks of another shape; choose another --output"):
        Trainer(wider).fit(allow_changed=["model"])


def test_more_epochs_go_on_and_say_the_rate_that_they_jump_to(tmp_path, log):
    Trainer(make_config(tmp_path / "run")).fit()
    longer = make_config(tmp_path / "run", schedule={"epochs": 5, "decay_epochs": 1})
    trainer = Trainer(longer)
    trainer.fit()
    said = log()
    assert (
        "schedule.epochs was 3, now 5: the learning rate of epoch 4 is 0.0002; that of the last one was 0.0001" in said
    )
    assert "resuming from step 9 (epoch 4)" in said and trainer.state.step == 15
    with pytest.raises(ConfigError, match=r"schedule.epochs: was 5, now 4"):
        Trainer(make_config(tmp_path / "run", schedule={"epochs": 4, "decay_epochs": 1})).fit()


def test_a_longer_schedule_says_how_the_epoch_under_way_changes(tmp_path, log):
    def config(epochs: int):
        return make_config(tmp_path / "run", schedule={"epochs": epochs, "decay_epochs": 2})

    stopped(config(3), 4)  # amid the second epoch
    Trainer(config(5)).fit(stop=lambda: True)
    said = log()
    assert "was 3, now 5: the learning rate of epoch 2 is 0.0002; it would have been 0.0001333" in said


def folder_config(tmp_path, root: str):
    data = {"layout": "auto", "root": str(tmp_path / root), "load_size": 32, "cache": "memory"}
    return make_config(tmp_path / "run", data=data)


def test_other_data_are_refused_and_moved_data_are_not(tmp_path, log):
    pairs(tmp_path / "data", "train", "val")
    stopped(folder_config(tmp_path, "data"), 1)
    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "moved" / "train" / "1.png").touch()  # another time of change is no other picture
    assert not Trainer(folder_config(tmp_path, "moved")).fit(stop=lambda: True)
    picture(tmp_path / "moved" / "train" / "1.png", 32, 64, seed=9)
    same_size = (tmp_path / "moved" / "train" / "1.png").read_bytes()
    (tmp_path / "moved" / "train" / "1.png").write_bytes(same_size + b"\0")
    with pytest.raises(DataError, match=r"run: the train data have changed: 3 pairs then, 3 pairs now.*--allow"):
        Trainer(folder_config(tmp_path, "moved")).fit()
    picture(tmp_path / "moved" / "train" / "3.png", 32, 64)
    with pytest.raises(DataError, match=r"3 pairs then, 4 pairs now"):
        Trainer(folder_config(tmp_path, "moved")).fit()
    assert Trainer(folder_config(tmp_path, "moved")).fit(allow_changed=["data"])
    assert "4 pairs now, by their names and sizes (allowed by --allow-changed)" in log()


def test_a_validation_split_that_has_gone_is_refused_and_the_best_on_another_forgotten(tmp_path, log):
    pairs(tmp_path / "data", "train", "val")
    config = folder_config(tmp_path, "data")
    stopped(config, 3)
    (tmp_path / "data" / "val").rename(tmp_path / "val")
    with pytest.raises(DataError, match=r"the train data have changed: 3 pairs then, 2 pairs now"):
        Trainer(config).fit()
    (tmp_path / "val").rename(tmp_path / "data" / "val")
    picture(tmp_path / "data" / "val" / "7.png", 32, 64)
    trainer = Trainer(config)
    assert trainer.fit(stop=after(trainer, 0), allow_changed=["data"]) is False
    assert trainer.state.step == 3 and (trainer.state.best, trainer.state.best_step) == (float("inf"), 3)
    assert load_generator_file(tmp_path / "run" / "best.pt").step == 3
    assert trainer.fit(allow_changed=["data"]) and 3 < trainer.state.best_step <= 6


def test_epochs_done_stay_done_where_the_number_of_pairs_may_change(tmp_path):
    for count in (3, 9):
        output = tmp_path / str(count)
        stopped(make_config(output), 4)  # 5 pairs in batches of 2: an epoch, and 2 pairs
        drawn = {"synthetic": {"train": count, "val": 2, "test": 1}}
        trainer = Trainer(make_config(output, data=make_config(output).data.model_dump() | drawn))
        trainer.fit(stop=lambda: True, allow_changed=["data"])
        assert (trainer.state.step, trainer.state.samples_seen, trainer.state.epoch) == (4, count + 2, 1)
        assert trainer.fit(allow_changed=["data"]) and trainer.state.samples_seen == 3 * count


def test_an_average_may_begin_later(tmp_path):
    whole = stopped(make_config(tmp_path / "run"), 4)
    run = make_config(tmp_path / "run").run.model_dump() | {"ema": 0.9}
    with pytest.raises(ConfigError, match=r"run\.ema: was None, now 0\.9"):
        Trainer(make_config(tmp_path / "run", run=run)).fit()
    trainer = Trainer(make_config(tmp_path / "run", run=run))
    trainer.fit(stop=lambda: True, allow_changed=["run.ema"])
    weights = whole.generator.state_dict()
    assert trainer.state.step == 4 and all(
        torch.equal(v, weights[k]) for k, v in trainer.ema_generator.state_dict().items()
    )


def test_the_best_generator_is_written_again_where_it_is_gone_or_another(tmp_path, log):
    config = make_config(tmp_path / "run", schedule={"epochs": 3, "decay_epochs": 1})
    trainer, file = Trainer(config), tmp_path / "run" / "best.pt"
    trainer.fit()
    state = load_step(tmp_path / "run" / "checkpoints", trainer.state.best_step, torch.device("cpu"))
    assert trainer.state.best_step < 9
    for spoil in (file.unlink, lambda: shutil.copy(file.with_name("gen.pt"), file)):
        best = load_generator_file(file)
        spoil()
        Trainer(config).fit()
        again = load_generator_file(file)
        assert (
            (again.step, again.epoch)
            == (best.step, best.epoch)
            == (trainer.state.best_step, trainer.state.best_step // 3)
        )
        assert all(torch.equal(v, state["generator"][k]) for k, v in again.generator.state_dict().items())
    log()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / f"step_{trainer.state.best_step:08d}")
    file.unlink()
    longer = Trainer(make_config(tmp_path / "run", schedule={"epochs": 4, "decay_epochs": 1}))
    longer.fit()
    assert f"its checkpoint of step {trainer.state.best_step} is gone" in log()
    assert longer.state.best_step == 12 and load_generator_file(file).step == 12


def test_the_best_that_was_validated_after_its_checkpoint_stays(tmp_path, monkeypatch):
    def falling(self, state):
        value = 1 / state.step
        if value < state.best:
            state.best, state.best_step = value, state.step
            self.checkpointer.export("best.pt", state)
        self.log.write({"step": state.step, "epoch": state.epoch, "val/l1": value})
        return value

    monkeypatch.setattr(Evaluator, "validate", falling)
    config, file = make_config(tmp_path / "run"), tmp_path / "run/best.pt"
    stopped(config, 9)  # before the last validation
    trainer = Trainer(config)
    assert trainer.fit() and trainer.state.best_step == 9 == load_generator_file(file).step
    again = Trainer(config)
    assert again.fit() and (again.state.best, again.state.best_step) == (trainer.state.best, 9)
    assert load_generator_file(file).step == 9


def test_pairs_that_cannot_be_validated_cost_no_epoch(tmp_path):
    pairs(tmp_path / "data", "train", "val")
    data = {"layout": "auto", "root": str(tmp_path / "data"), "load_size": 32, "cache": "off"}
    trainer = Trainer(make_config(tmp_path / "run", data=data))

    def lose() -> bool:
        if trainer.state.step == 1:
            (tmp_path / "data/val/1.png").unlink(missing_ok=True)
        return False

    with pytest.raises(DataError, match=r"val/1\.png"):
        trainer.fit(stop=lose)
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["step_00000002"]


def test_other_surroundings_are_said(tmp_path, log):
    stopped(make_config(tmp_path / "run"), 2)
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    manifest = json.loads((newest / "manifest.json").read_text())
    assert manifest["surroundings"]["torch"] == torch.__version__
    log()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        Trainer(make_config(tmp_path / "run")).fit(stop=lambda: True)
    finally:
        torch.set_num_threads(threads)
    said = log()
    assert f"threads was {threads}, now {threads + 1}: the run resumes" in said
    assert newest.exists()


def test_the_command_line_allows_a_key_and_names_the_others():
    base = (*TINY, "--output", "out", "--set", "run.seed=1")
    assert pix2pix("train", *base, "--set", "schedule.epochs=1").code == 0
    result = pix2pix("train", *base, "--set", "loss.lambda_l1=9")
    assert result.code == 2 and "loss.lambda_l1: was 100.0, now 9" in result.err and Path("out").is_dir()
    result = pix2pix("train", *base, "--set", "loss.lambda_l1=9", "--allow-changed", "loss.lambda_l1", "--resume")
    assert result.code == 0 and "schedule.epochs was 1, now 2" in result.out
