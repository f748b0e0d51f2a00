"""A start without a config: `pix2pix train --data FOLDER` and `pix2pix configs make`."""

from pathlib import Path

from commands import SETTINGS, overrides, pairs, picture, pix2pix

from pix2pix.config import config_difference, load_config

KEYS = {"model.generator.base_channels", "model.discriminator.base_channels", "run.sample_pairs", "run.device"}
QUICK = overrides({key: value for key, value in SETTINGS.items() if key in KEYS} | {"schedule.epochs": 1})


def test_a_folder_is_enough_and_the_same_command_resumes():
    pairs("data/mine", "train", count=4)
    first = pix2pix("train", "--data", "data/mine", *QUICK)
    assert first.code == 0 and first.err == "" and "data.image_size = 32" in first.out
    config = load_config("runs/mine/config.yaml")
    assert (config.data.root, config.data.image_size, config.data.load_size) == ("data/mine", 32, "jitter")
    assert (config.data.flip, config.data.batch_size, config.data.direction) == (True, 1, "a2b")
    assert (config.schedule.epochs, config.schedule.decay_epochs) == (1, 0)
    again = pix2pix("train", "--config", "own", "--data", "data/mine", *QUICK)
    assert again.code == 0 and "finished" in again.out


def test_data_that_have_grown_are_refused_as_data():
    pairs("mine", "train", count=3)
    assert pix2pix("train", "--data", "mine", *QUICK).code == 0
    picture("mine/train/new.png", 96, 192)  # alone, it would change image_size and load_size
    result = pix2pix("train", "--data", "mine", *QUICK)
    assert result.code == 3 and "runs/mine" in result.err and "--allow-changed data" in result.err


def test_make_prints_a_config_that_is_the_one_of_train_and_keeps_settings():
    for index in range(2):
        picture(f"mine/train/a/{index}.png", 64, 96, seed=index)
        picture(f"mine/train/b/{index}.png", 64, 96, seed=index + 9)
    made = pix2pix("configs", "make", "--data", "mine", "--set", "data.flip=false", "--set", "schedule.epochs=9")
    assert made.code == 0 and made.err == ""
    Path("mine.yaml").write_text(made.out)
    config = load_config("mine.yaml")
    assert (config.data.root, config.data.crop, config.data.flip) == ("mine", (64, 96), False)
    assert (config.schedule.epochs, config.schedule.decay_epochs, config.run.output) == (9, 4, "runs/mine")
    assert "96x64" in made.out
    plain = load_config("own", ["data.root=mine"])
    chosen = {key.split(".")[0] for key, _, _ in config_difference(plain, config)}
    assert chosen == {"data", "schedule", "run"}


def test_without_data_and_config_each_command_says_what_to_give():
    for verb in (("train",), ("check",), ("configs", "make")):
        result = pix2pix(*verb)
        assert result.code == 2 and "--data" in result.err, verb


def test_make_and_train_refuse_a_missing_folder_and_check_reports_it():
    for verb in (("train",), ("configs", "make")):
        result = pix2pix(*verb, "--data", "nowhere")
        assert result.code == 3 and len(result.lines) == 1 and "nowhere" in result.err
    assert pix2pix("check", "--data", "nowhere").code == 3
