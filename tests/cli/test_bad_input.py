"""Bad input and failing machines: one line that names the file and the remedy, the exit code, and nothing lost."""

import os
import pickle
import signal
from pathlib import Path

import pytest
import runs
import torch
from commands import (
    SETTINGS,
    TINY,
    as_ordinary_user,
    contents,
    files_no_larger_than,
    overrides,
    pairs,
    picture,
    pix2pix,
    program,
    refused,
)
from forked import COMMAND, PIPE, Program

from pix2pix.config import load_config
from pix2pix.data.formats.image_format import image_formats
from pix2pix.errors import CheckpointError
from pix2pix.training.checkpoint_io import load_newest
from pix2pix.training.trainer import Trainer
from pix2pix.weights import load_generator_file

# Configs: 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("nowhere/mine.yaml", ["nowhere/mine.yaml: no such file", "pix2pix configs list"]),
        ("facade", ["'facade': no file and no shipped config", "did you mean 'facades'?"]),
        ("folder/", ["folder/: is a folder"]),
        ("empty.yaml", ["empty.yaml:1: is empty", "pix2pix configs show facades"]),
    ],
)
def test_a_config_that_is_not_there(config, words):
    Path("folder").mkdir(), Path("empty.yaml").touch()
    refused(pix2pix("train", "--config", config), 2, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("loss: {lambda_L1: 50}", ["unknown key 'lambda_L1' in loss; did you mean 'lambda_l1'?"]),
        ("data: {batch_size: '4'}", ["data.batch_size", "'4'"]),
        ("optimizer: {lr: -1}", ["optimizer.lr", "-1"]),
        ("run: {device: banana}", ["run.device", "banana"]),
    ],
)
def test_a_mistake_in_a_config_is_named_with_its_line(text, words):
    Path("mine.yaml").write_text(f"# mine\n{text}\n")
    result = pix2pix("train", "--config", "mine.yaml", "--data", "data")
    refused(result, 2, *words)
    assert result.err.startswith(("error: mine.yaml:2: ", "error: mine.yaml:3: "))


def test_mistakes_are_reported_together_a_line_each():
    Path("mine.yaml").write_text("data: {flip: 1, layout: synthetic}\nschedule: {epochs: 0, niter: 3}\n")
    result = pix2pix("train", "--config", "mine.yaml", "--set", "loss.lambda_l1=much", "--set", "seed")
    refused(result, 2, "data.flip", "schedule.epochs", "niter", "--set loss.lambda_l1=much", "--set seed", errors=5)
    assert not Path("runs").exists()


# Data: 3


def training(*flags: object, **settings: object) -> tuple:
    changed = {**SETTINGS, **{key.replace("__", "."): value for key, value in settings.items()}}
    return ("train", "--config", "demo", *overrides(changed), "--output", "out", *flags)


def test_missing_data_says_how_to_get_some():
    result = pix2pix("train", "--config", "facades")
    refused(result, 3, "data/facades: no such folder", "--data", "pix2pix download facades")
    assert not Path("runs").exists()


def test_a_data_set_without_pairs():
    Path("data/train").mkdir(parents=True)
    refused(pix2pix(*training("--data", "data")), 3, "data/train: holds no pairs", "data.input and data.target")
    Path("data/train").rmdir()
    refused(pix2pix(*training("--data", "data")), 3, "data/train: no such folder", "train, val, test")


def test_a_picture_without_a_partner():
    for name in ("a/1", "a/2", "b/1"):
        picture(f"data/train/{name}.png")
    refused(pix2pix(*training("--data", "data")), 3, "data/train/a/2.png", "add or remove")


def test_a_pair_of_two_sizes_is_found_before_the_first_step():
    for name, side in (("a/1", 32), ("a/2", 32), ("b/1", 32), ("b/2", 40)):
        picture(f"data/train/{name}.png", side, 32)
    result = pix2pix(*training("--data", "data"))
    refused(result, 3, "data/train/b/2.png", "32x40", "data/train/a/2.png is 32x32", "resize one, or remove")
    assert "step 1" not in result.out


@pytest.mark.parametrize("cache", ["memory", "off"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_broken_image_is_found_before_the_first_step_and_can_be_replaced(split, cache):
    pairs("data", "train", "val")
    Path("data", split, "1.png").write_text("no picture")
    command = training("--data", "data", data__cache=cache, data__workers=0, schedule__epochs=1)
    result = pix2pix(*command)
    refused(result, 3, f"data/{split}/1.png: is not an image that can be read", "remove it or replace it")
    assert "step 1" not in result.out and contents(Path("out")).keys() <= {".lock", "config.yaml"}
    pairs("data", split)
    assert pix2pix(*command).code == 0  # the same command


@pytest.mark.parametrize("source", ["nothing", "empty", "*.png", "text.txt", "n" * 300])
def test_nothing_to_translate(trained, source):
    Path("empty").mkdir(), Path("text.txt").write_text("no picture")
    refused(pix2pix("sample", "--weights", trained / "gen.pt", "--input", source), 3, source)


def test_the_data_of_the_weights_has_gone(finished):
    pairs("data", "train", "val")
    assert pix2pix(*training("--data", "data", schedule__epochs=1)).code == 0
    Path("data").rename("moved")
    refused(pix2pix("sample", "--weights", "out/gen.pt"), 3, "data: the data that out/gen.pt", "--input", "--split")


# Weights: 4


CANARY = "the canary has fired"


class Canary:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, (CANARY,))


NOT_OURS, DAMAGED = "give a gen.pt that pix2pix wrote", "is damaged"
SPOILT = {
    "empty": (lambda file: file.write_bytes(b""), NOT_OURS),
    "garbage": (lambda file: file.write_bytes(bytes(range(256)) * 20), NOT_OURS),
    "truncated": (lambda file: file.write_bytes(file.read_bytes()[:5000]), DAMAGED),
    "without its end": (lambda file: file.write_bytes(file.read_bytes()[:-100]), DAMAGED),
    "another program's": (lambda file: torch.save({"model": torch.ones(3)}, file), NOT_OURS),
    "a list": (lambda file: torch.save([1, 2], file), NOT_OURS),
    "a pickle": (lambda file: file.write_bytes(pickle.dumps(Canary())), NOT_OURS),
    "a saved object": (lambda file: torch.save({"a": Canary()}, file), NOT_OURS),
}
CHANGED = {
    "poisoned": ({"step": Canary()}, NOT_OURS),
    "newer": ({"version": 2}, "has format version 2 and this pix2pix reads 1; upgrade pix2pix"),
    "no version": ({"version": None}, "upgrade pix2pix"),
    "no tensors": ({"state_dict": {}}, DAMAGED),
    "no state": ({"state_dict": None}, DAMAGED),
    "text for tensors": ({"state_dict": {"down.0.0.weight": "x"}}, DAMAGED),
    "odd config": ({"config": {"loss": 3}}, DAMAGED),
    "odd forms": ({"forms": 3}, DAMAGED),
    "no forms": ({"forms": {}}, DAMAGED),
    "other forms": ({"forms": image_formats(1, 3).to_dict()}, DAMAGED),
}


@pytest.mark.parametrize("kind", [*SPOILT, *CHANGED])
def test_weights_that_are_none(trained, kind):
    file, image = trained / "gen.pt", picture("a.png")
    if kind in SPOILT:
        spoil, words = SPOILT[kind]
        spoil(file)
    else:
        changes, words = CHANGED[kind]
        torch.save({**torch.load(file, weights_only=True), **changes}, file)
    before = contents(Path())
    refused(pix2pix("sample", "--weights", file, "--input", image), 4, "run/gen.pt: ", words)
    assert contents(Path()) == before and not Path(CANARY).exists()


def test_weights_that_are_missing_or_the_wrong_ones(trained):
    for name, words in {
        "gone.pt": "no such file; a run writes its weights to",
        "dis.pt": "holds a discriminator, not a generator; give the run's gen.pt",
        "samples": "is a folder",
        "config.yaml": "is not a weights file",
        "n" * 300: "cannot be read (File name too long)",
    }.items():
        refused(pix2pix("sample", "--weights", trained / name, "--input", picture("a.png")), 4, f"run/{name}", words)


def test_damaged_weights_are_refused_or_read_as_they_were(trained):
    whole, weights = (trained / "gen.pt").read_bytes(), load_generator_file(trained / "gen.pt").generator.state_dict()
    generator, refusals = torch.Generator().manual_seed(0), 0
    for number in range(120):
        place, bit = (int(torch.randint(high, (), generator=generator)) for high in (len(whole), 8))
        long = 40 if number % 2 else 1  # bytes; of one, a single bit
        changed = bytes([whole[place] ^ 1 << bit]) * long
        (trained / "gen.pt").write_bytes(whole[:place] + changed + whole[place + long :])
        try:
            read = load_generator_file(trained / "gen.pt").generator.state_dict()
            assert all(torch.equal(value, weights[name]) for name, value in read.items())
        except CheckpointError as error:
            assert "run/gen.pt: " in str(error)
            refusals += 1
    assert refusals > 60


# Outputs: 4


OUTPUTS = [
    (lambda: Path("out").write_text("mine"), "out: is a file"),
    (lambda: Path("out").symlink_to("gone"), "out: is a dangling link"),
    (lambda: picture("out/photo.png"), "out: holds other files and no run"),
]


@pytest.mark.parametrize(("make", "words"), OUTPUTS)
@pytest.mark.parametrize("flag", [None, "--fresh"])
def test_a_run_folder_that_cannot_be_one(make, words, flag):
    make()
    result = pix2pix(*training(*filter(None, [flag])))
    refused(result, 4, words, "choose another")
    assert "step 1" not in result.out
    assert [path.name for path in Path().iterdir()] == ["out"] and not Path("gone").exists()
    assert not Path("out").is_file() or Path("out").read_text() == "mine"


@pytest.mark.parametrize(("make", "words"), OUTPUTS[:2])
def test_a_folder_of_translations_that_cannot_be_one(trained, make, words):
    make()
    command = ("sample", "--weights", trained / "gen.pt", "--input", picture("a.png"), "--output")
    refused(pix2pix(*command, "out"), 4, words, "choose another")
    refused(pix2pix(*command, "a.png/deeper"), 4, "a.png/deeper: cannot be written", "choose another")


def test_a_folder_in_which_one_may_not_write(trained):
    user = as_ordinary_user()
    Path("closed").mkdir(mode=0o555)
    result = program("train", *TINY, "--output", "closed", **user)
    refused(result, 4, "closed: cannot be written (Permission denied)", "--output")
    assert "step 1" not in result.out
    command = ("sample", "--weights", trained / "gen.pt", "--input", picture("a.png"), "--output", "closed/in")
    refused(program(*command, **user), 4, "closed/in: cannot be written (Permission denied)", "--output")
    refused(program("configs", "copy", "demo", "--output", "closed/c.yaml", **user), 4, "closed/c.yaml", "denied")
    assert not list(Path("closed").iterdir())


@pytest.mark.parametrize("limit", [100_000, 1000])
def test_a_full_disk_is_found_before_the_first_step_and_leaves_what_is_there(limit):
    command = training()
    config = load_config("demo", [*overrides(SETTINGS)[1::2], "run.output=out"])
    trainer = Trainer(config)
    assert not trainer.fit(stop=runs.after(trainer, 3))  # the first of two epochs
    before = contents(Path("out"))
    with files_no_larger_than(limit):
        result = pix2pix(*command)
    refused(result, 4, "out/checkpoints: cannot be written", "bytes are free", "ulimit -f", "it takes", "bytes")
    assert "step 4" not in result.out
    after = contents(Path("out"))
    assert all(after[name] == before[name] for name in before if name.endswith(".pt"))
    assert not [name for name in after if "tmp" in name]
    assert load_newest(Path("out/checkpoints"), torch.device("cpu"))["step"] == 3
    assert load_generator_file("out/gen.pt").step == 3
    assert pix2pix(*command).code == 0 and load_generator_file("out/gen.pt").step == 6


# Signals: 130, 143

LONG = training(data__synthetic__train=60, data__batch_size=1, model__generator__dropout_up=[4])  # 120 steps


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert pix2pix(*LONG, "--output", folder).code == 0
    return load_generator_file(folder / "gen.pt").generator.state_dict()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_is_saved_and_resumes_to_the_same_end(number, code, uninterrupted):
    with Program(COMMAND, *LONG, stdout=PIPE, stderr=PIPE) as run:
        assert any(line.startswith("step 3/120") for line in run.stdout)
        run.send_signal(number)
        rest, errors = run.communicate(timeout=60)
    assert run.returncode == code and "Traceback" not in errors, errors
    assert "all saved in out; the same command resumes from here" in rest, rest
    step = load_newest(Path("out/checkpoints"), torch.device("cpu"))["step"]
    assert 3 <= step < 120 and step % 60
    result = pix2pix(*LONG)
    assert result.code == 0 and f"resuming from step {step} (epoch {1 + step // 60})" in result.out
    weights = load_generator_file("out/gen.pt").generator.state_dict()
    assert weights.keys() == uninterrupted.keys()
    assert all(torch.equal(weights[name], value) for name, value in uninterrupted.items())
