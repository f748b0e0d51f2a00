"""`pix2pix train`: what it prints, what a run folder holds, and what its flags do."""

import shutil
from pathlib import Path

import pytest
from commands import SETTINGS, TINY, contents, overrides, pairs, picture, pix2pix, refused, size

from pix2pix.config import config_difference, dump_config, load_config, shipped_configs
from pix2pix.training.metrics import read_metrics
from pix2pix.weights import load_generator_file

QUICK = {**SETTINGS, "data.synthetic.train": 2, "data.synthetic.val": 1, "schedule.epochs": 1}


def test_the_plan_is_printed_before_anything_else(finished):
    folder, result = finished
    lines = result.out.splitlines()
    assert lines[0] == f"config {shipped_configs()['demo']} (shipped config)"
    assert [line.split()[0] for line in lines[1:13]] == [
        *(
            "pix2pix",
            "data",
            "input",
            "target",
            "cache",
            "images",
            "steps",
            "generator",
            "discriminator",
            "device",
            "memory",
            "results",
        ),
    ]
    assert "5 pairs to train on, 2 of val to validate" in lines[2] and "36x36, cropped to 32x32" in lines[6]
    assert "2 epochs x 3 steps of 2 = 6 steps" in lines[7] and "cpu (1 thread), fp32" in lines[10]
    assert lines[12].split() == ["results", str(folder)] and lines[13].startswith("step 1/6")
    assert lines[-1].startswith("done: 2 epochs, 6 steps") and result.code == 0 and result.err == ""


def test_what_a_run_folder_holds(finished):
    folder, _ = finished
    assert contents(folder).keys() == {
        *(".lock", "config.yaml", "metrics.jsonl", "loss.png", "gen.pt", "dis.pt", "best.pt"),
        *("samples/epoch_0001.png", "samples/epoch_0002.png"),
        *(f"checkpoints/step_0000000{step}/{name}" for step in (3, 6) for name in ("state.pt", "manifest.json")),
    }
    records = read_metrics(folder / "metrics.jsonl")
    assert [record["step"] for record in records if "g/l1" in record] == [1, 2, 3, 4, 5, 6]
    assert [record["step"] for record in records if "val/l1" in record] == [3, 6]
    losses = {"d/loss", "d/real", "d/fake", "g/loss", "g/gan", "g/l1"}
    assert records[0].keys() == losses | {"step", "epoch", "lr", "images_per_second"}
    assert load_generator_file(folder / "gen.pt").step == 6
    assert load_generator_file(folder / "best.pt").step in (3, 6)
    assert size(folder / "samples" / "epoch_0002.png") > (2 * 32, 3 * 32) and min(size(folder / "loss.png")) > 400


def test_config_yaml_is_the_whole_config_and_reads_back_equal(finished):
    folder, _ = finished
    given = load_config("demo", [*overrides(SETTINGS)[1::2], f"run.output={folder}"])
    assert load_config(folder / "config.yaml") == given
    assert (folder / "config.yaml").read_text(encoding="utf-8") == dump_config(given)


def test_the_same_command_on_a_finished_run_says_so_and_changes_nothing(trained):
    before = contents(trained)
    for flags in ([], ["--resume"]):
        result = pix2pix("train", *TINY, "--output", trained, *flags)
        assert result.code == 0 and "this run is finished: 2 epochs, 6 steps" in result.out
        assert contents(trained) == before


def test_another_config_on_a_run_is_refused_with_each_key_old_and_new(trained):
    before = contents(trained)
    changes = ("--set", "loss.lambda_l1=50", "--set", "model.generator.name=resnet")
    result = pix2pix("train", *TINY, *changes, "--output", trained)
    assert result.code == 2 and result.lines[0].startswith(f"error: {trained}: holds a run of another config;")
    assert "  loss.lambda_l1: was 100.0, now 50" in result.err and "was 'unet', now 'resnet'" in result.err
    assert "--output" in result.lines[0] and "--fresh" in result.lines[0]
    assert contents(trained) == before


def test_fresh_moves_an_earlier_run_aside(trained):
    before = contents(trained)
    again = ("train", "--config", "demo", *overrides(QUICK), "--output", trained, "--fresh")
    assert "run.old-1" in pix2pix(*again).out
    second = contents(trained)
    assert contents(Path("run.old-1")) == before and second["config.yaml"] != before["config.yaml"]
    assert pix2pix(*again).code == 0 and contents(Path("run.old-2")) == second
    assert pix2pix(*again[:-2], "new", "--fresh").code == 0  # nothing to move is no mistake


def test_fresh_moves_nothing_that_is_no_run():
    picture("photos/1.png")
    before = contents(Path())
    refused(pix2pix("train", *TINY, "--output", "photos", "--fresh"), 4, "photos: holds other files and no run")
    assert contents(Path()) == before


def test_resume_insists_on_a_run():
    refused(pix2pix("train", *TINY, "--output", "nothing", "--resume"), 4, "nothing: has no checkpoint to resume")
    assert not Path("nothing").exists()
    assert "not allowed with" in pix2pix("train", *TINY, "--resume", "--fresh").err


def test_flags_go_over_set_and_set_over_the_file():
    pairs("pairs", "train", "test")
    Path("mine.yaml").write_text("data: {root: elsewhere, interpolation: bilinear}\nschedule: {epochs: 7}")
    settings = {key: value for key, value in QUICK.items() if key != "run.device"}
    wishes = ("--set", "run.output=there", "--set", "schedule.epochs=3", *overrides(settings))
    result = pix2pix(
        "train", "--config", "mine.yaml", *wishes, "--data", "pairs", "--output", "out: a", "--device", "cpu"
    )
    assert result.code == 0, result
    assert result.out.startswith("config mine.yaml (file)") and "pairs, side-by-side, b2a: 2 pairs" in result.out
    config = load_config("out: a/config.yaml")
    assert (config.run.output, config.run.device, config.data.root) == ("out: a", "cpu", "pairs")
    assert (config.schedule.epochs, config.data.interpolation) == (1, "bilinear")
    assert not Path("there").exists()


def test_data_turns_a_config_of_drawn_facades_to_a_folder():
    pairs("mine", "train", "test")
    result = pix2pix("train", "--config", "demo", *overrides(QUICK), "--data", "mine", "--output", "run")
    assert result.code == 0 and "mine, side-by-side, b2a: 2 pairs to train on, 1 of val to validate" in result.out
    changed = config_difference(load_config("demo", overrides(QUICK)[1::2]), load_config("run/config.yaml"))
    assert [key for key, _, _ in changed] == ["data.root", "data.layout", "run.output"]


def test_a_data_set_of_training_pairs_alone_trains_and_shows_them():
    for index in range(2):
        for side in "ab":
            picture(f"mine/train/{side}/{index}.png", seed=index)
    settings = overrides(QUICK | {"data.val_fraction": 0})
    result = pix2pix("train", "--config", "demo", *settings, "--data", "mine", "--output", "run")
    assert result.code == 0 and "mine, two-folders, b2a: 2 pairs to train on, none to validate" in result.out
    assert not Path("run/best.pt").exists() and Path("run/samples/epoch_0001.png").exists()


def test_a_run_whose_checkpoints_are_gone_is_not_begun_again_over_its_weights(trained):
    shutil.rmtree(trained / "checkpoints")
    before = contents(trained)
    refused(pix2pix("train", *TINY, "--output", trained), 4, "run: ", "checkpoints are missing", "--fresh")
    assert contents(trained) == before
    assert "run.old-1" in pix2pix("train", "--config", "demo", *overrides(QUICK), "--output", trained, "--fresh").out


@pytest.mark.parametrize("line", [b"no metrics", b"3", b'{"loss": 1}', b"\xff\xfe"])
def test_spoilt_metrics_are_named_and_kept(trained, line):
    shutil.rmtree(trained / "checkpoints" / "step_00000006")
    before = line + b"\n" + (trained / "metrics.jsonl").read_bytes()
    (trained / "metrics.jsonl").write_bytes(before)
    refused(pix2pix("train", *TINY, "--output", trained), 4, "run/metrics.jsonl:1: ", "fix or remove the line")
    assert (trained / "metrics.jsonl").read_bytes() == before


def test_verbose_says_what_was_chosen_and_why():
    pairs("mine", "train", "val")
    command = ["train", *overrides({**QUICK, "data.layout": "auto", "data.root": "mine"}), "--output", "run"]
    first = pix2pix(*command, "--verbose").err
    (folder,) = Path("run/checkpoints").glob("step_*")
    written = sum(file.stat().st_size for file in folder.iterdir())
    for start in (
        *("mine: ", "data.cache auto: ", "data.workers auto: 0 ", "format of input, ", "format of target, "),
        *("run: no checkpoint", f"{folder}: {written:,} bytes written in "),
    ):
        assert any(line.startswith(start) for line in first.splitlines()), start
    (Path("run") / "gen.pt").unlink()
    again = pix2pix(*command, "--verbose").err
    assert f"run: checkpoint of step {int(folder.name[5:])} loaded" in again and "run/gen.pt: missing" in again
    assert pix2pix(*command).err == ""
