"""The program, `configs` and `train`, as a person gives them."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import SETTINGS, TINY, Result, contents, overrides, pairs, picture, pix2pix, program, refused, size

from pix2pix import cli
from pix2pix.config import config_difference, dump_config, load_config, shipped_configs
from pix2pix.errors import DataError, DeviceError
from pix2pix.runtime.acceleration import pick_device
from pix2pix.runtime.console import say
from pix2pix.tracking import read_metrics
from pix2pix.weights import load_generator_file

QUICK = {**SETTINGS, "data.synthetic.train": 2, "data.synthetic.val": 1, "schedule.epochs": 1}


# The program itself


def test_help_and_import_load_neither_torch_nor_pydantic():
    script = (
        "import sys, pix2pix\n"
        "from pix2pix.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        "print(sorted({'torch', 'pydantic', 'numpy', 'PIL', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "train, or go on with a run" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_help_takes_at_most_five_times_as_long_as_python_itself():
    def seconds(*words: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], capture_output=True, check=True)
        return time.perf_counter() - start

    def ratio() -> float:
        both = [(seconds("-m", "pix2pix", "--help"), seconds("-c", "pass")) for _ in range(7)]
        ours, python = (statistics.median(times) for times in zip(*both, strict=True))
        return ours / python

    assert any(ratio() <= 5 for _ in range(4))  # the machine may be busy with something else


def test_the_installed_script_is_the_same_program():
    script = shutil.which("pix2pix", path=str(Path(sys.executable).parent))
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == program("--version").out == pix2pix("--version").out


@pytest.mark.parametrize("words", [(), ("trian",), ("train",), ("sample",), ("configs",), ("train", *TINY, "--fast")])
def test_a_wrong_command_is_2_and_shows_the_usage(words):
    result = pix2pix(*words)
    assert result.code == 2 and result.err.startswith("usage: pix2pix")
    assert not list(Path().iterdir())


def test_a_bug_leaves_its_traceback_in_a_file_that_is_named(monkeypatch):
    monkeypatch.setitem(cli._VERBS, "configs", lambda args: 1 / 0)
    monkeypatch.setattr("tempfile.tempdir", str(Path().resolve()))
    refused(result := pix2pix("configs", "list"), 1, "ZeroDivisionError", "please report it with")
    assert "Traceback" in Path(result.err.split()[-1]).read_text(encoding="utf-8")
    monkeypatch.setenv("PIX2PIX_DEBUG", "1")
    assert "Traceback" in pix2pix("configs", "list").err


# configs


def test_configs_list_names_every_shipped_config():
    lines = pix2pix("configs", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_configs()) and len(lines) == 9
    assert all(len(line.split()) > 4 for line in lines)  # and says what it is


def test_configs_show_and_copy_give_the_file_itself_and_copy_overwrites_nothing():
    text = shipped_configs()["facades"].read_text(encoding="utf-8")
    assert pix2pix("configs", "show", "facades").out == text
    assert "--config ./facades.yaml" in pix2pix("configs", "copy", "facades").out
    assert pix2pix("configs", "copy", "facades", "--output", "mine/of.yaml").code == 4  # it makes no folder
    assert Path("facades.yaml").read_text(encoding="utf-8") == text
    Path("facades.yaml").write_text("mine")
    refused(pix2pix("configs", "copy", "facades"), 4, "facades.yaml: is there already", "--output")
    assert Path("facades.yaml").read_text() == "mine"
    refused(pix2pix("configs", "show", "facade"), 2, "did you mean 'facades'?")


def test_configs_schema_is_json_for_editors():
    schema = json.loads(pix2pix("configs", "schema").out)
    assert list(schema["properties"]) == ["data", "model", "loss", "optimizer", "schedule", "run"]


# train


def test_the_plan_is_printed_before_anything_else(finished):
    folder, result = finished
    lines = result.out.splitlines()
    assert lines[0] == f"config {shipped_configs()['demo']} (shipped config)"
    assert [line.split()[0] for line in lines[1:12]] == [
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
            "results",
        ),
    ]
    assert "5 pairs to train on, 2 of val to validate" in lines[2] and "36x36, cropped to 32x32" in lines[6]
    assert "2 epochs x 3 steps of 2 = 6 steps" in lines[7] and "cpu (1 thread), fp32" in lines[10]
    assert lines[11].split() == ["results", str(folder)] and lines[12].startswith("step 1/6")
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
    assert result.out.startswith("config mine.yaml (file)") and "pairs, side-by-side, b2a: 3 pairs" in result.out
    config = load_config("out: a/config.yaml")
    assert (config.run.output, config.run.device, config.data.root) == ("out: a", "cpu", "pairs")
    assert (config.schedule.epochs, config.data.interpolation) == (1, "bilinear")
    assert not Path("there").exists()


def test_data_turns_a_config_of_drawn_facades_to_a_folder():
    pairs("mine", "train", "test")
    result = pix2pix("train", "--config", "demo", *overrides(QUICK), "--data", "mine", "--output", "run")
    assert result.code == 0 and "mine, side-by-side, b2a: 3 pairs to train on, 3 of test to validate" in result.out
    changed = config_difference(load_config("demo", overrides(QUICK)[1::2]), load_config("run/config.yaml"))
    assert [key for key, _, _ in changed] == ["data.root", "data.layout", "run.output"]


def test_a_data_set_of_training_pairs_alone_trains_and_shows_them():
    for index in range(2):
        for side in "ab":
            picture(f"mine/train/{side}/{index}.png", seed=index)
    result = pix2pix("train", "--config", "demo", *overrides(QUICK), "--data", "mine", "--output", "run")
    assert result.code == 0 and "mine, two-folders, b2a: 2 pairs to train on, none to validate" in result.out
    assert not Path("run/best.pt").exists() and Path("run/samples/epoch_0001.png").exists()


def test_a_run_whose_checkpoints_are_gone_is_not_begun_again_over_its_weights(trained):
    shutil.rmtree(trained / "checkpoints")
    before = contents(trained)
    refused(pix2pix("train", *TINY, "--output", trained), 4, "run: ", "checkpoints are gone", "--fresh")
    assert contents(trained) == before
    assert "run.old-1" in pix2pix("train", "--config", "demo", *overrides(QUICK), "--output", trained, "--fresh").out


@pytest.mark.parametrize("line", [b"no metrics", b"3", b'{"loss": 1}', b"\xff\xfe"])
def test_spoilt_metrics_are_named_and_kept(trained, line):
    shutil.rmtree(trained / "checkpoints" / "step_00000006")
    before = line + b"\n" + (trained / "metrics.jsonl").read_bytes()
    (trained / "metrics.jsonl").write_bytes(before)
    refused(pix2pix("train", *TINY, "--output", trained), 4, "run/metrics.jsonl:1: ", "fix or remove the line")
    assert (trained / "metrics.jsonl").read_bytes() == before


# Streams that cannot be written, and ranks


def _gone() -> int:
    """A terminal of which the other end is gone, as when ssh is."""
    other, stream = os.openpty()
    os.close(other)
    return stream


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("stdout", ["full", "gone"])
def test_stdout_that_cannot_be_written_ends_no_run(stdout, unbuffered):
    stream = os.open("/dev/full", os.O_WRONLY) if stdout == "full" else _gone()
    command = [sys.executable, "-m", "pix2pix", "train", "--config", "demo", *overrides(QUICK), "--output", "run"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(stream)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_generator_file("run/gen.pt").step == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
def test_stderr_that_cannot_be_written_ends_no_run():
    """Of a terminal that goes while there is a bar; and, without any stream, of what would take their numbers."""
    train = [sys.executable, "-m", "pix2pix", "train", "--config", "demo", *overrides(QUICK), "--output"]
    terminal, stream = os.openpty()
    with subprocess.Popen([*train, "gone"], stdout=subprocess.PIPE, stderr=stream) as run:
        os.close(stream)
        assert os.read(terminal, 1)
        os.close(terminal)
        run.communicate()
    assert run.returncode == 0 and load_generator_file("gone/gen.pt").step == 1
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *train, "closed"])
    assert done.returncode == 0 and load_generator_file("closed/gen.pt").step == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("action", ["list", "schema"])  # less than a buffer, and more
def test_what_was_asked_for_and_cannot_be_printed_is_4(action, unbuffered):
    command, environment = [sys.executable, "-m", "pix2pix", "configs"], os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run([*command, action], stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
        refused(Result(done.returncode, "", done.stderr), 4, "stdout cannot be written (No space left on device)")
        assert subprocess.run([*command, "show", "no"], stderr=full, env=environment).returncode == 2
    reading, writing = os.pipe()
    os.close(reading)  # a reader who has seen enough
    done = subprocess.run([*command, action], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        ({}, 1),
        ({"RANK": "1"}, 1),  # nobody's rank, as in `joined`
        ({"RANK": "0", "WORLD_SIZE": "2"}, 1),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 0),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}, 0),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, 1),  # another machine has files of its own
    ],
)
def test_what_is_wrong_with_a_config_is_said_by_one_rank(monkeypatch, ranks, said):
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli.time, "sleep", lambda seconds: None)
    refused(pix2pix("train", "--config", "nix"), 2, *["no file"] * said, errors=said)


def test_what_may_be_one_ranks_alone_it_says(monkeypatch):
    def fails(error: Exception):
        def verb(args):
            raise error

        monkeypatch.setitem(cli._VERBS, "configs", verb)
        return pix2pix("configs", "list")

    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    refused(fails(DataError("a.png: is broken")), 3, "a.png: is broken")
    with pytest.raises(DeviceError) as caught:
        pick_device("cuda:99")
    refused(fails(caught.value), 2, "device 'cuda:99' is not available")


def test_the_first_rank_speaks_and_one_that_only_seems_not_to_be_it(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    say("alone")
    monkeypatch.setenv("WORLD_SIZE", "2")
    say("second")
    monkeypatch.setenv("RANK", "0")
    say("first")
    assert capsys.readouterr().out == "alone\nfirst\n"
