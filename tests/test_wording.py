"""The words: the lines that users see, asserted here alone, and the terms that the code does not use."""

import io
import re
import tokenize
from pathlib import Path

import pytest
from commands import TINY, Result, pairs, picture, pix2pix
from runs import after, make_config

import pix2pix as package
from pix2pix import Trainer
from pix2pix.runtime.log import to_console

PACKAGE = Path(package.__file__).parent

ROOT = ["--data", "anywhere"]  # so that nothing but the case at hand is wrong

# What c.yaml holds, and the errors that training with it shows, without "error: c.yaml".
CONFIGS = {
    "loss: {lamda_l1: 50}": ":1: unknown key 'lamda_l1' in loss; did you mean 'lambda_l1'?",
    "data: {batch_size: many}": ":1: data.batch_size is 'many', but must be a whole number of at least 1",
    "data: {batch_size: 0}": ":1: data.batch_size is 0, but must be a whole number of at least 1",
    "loss: {adversarial: wgan}": (
        ":1: loss.adversarial is 'wgan', but must be one of bce, mse, mse_sigmoid, bce_sigmoid, hinge"
    ),
    "modell: {}": ":1: unknown key 'modell'; did you mean 'model'?",
    "run: {seed: 1}\nrun: {seed: 2}": ":2: duplicate key 'run'; it is already set in line 1",
    "": ":1: is empty; `pix2pix configs show facades` prints one to start from",
    "- 1": (
        ":1: [1] is not a config; the top level is a mapping of the sections data, model, loss, optimizer, schedule, "
        "run"
    ),
    "run: &a {seed: 1}": ":1: anchor &a is not allowed; write values out",
    "run:\n\tseed: 1": ":2: a tab is not allowed here; use spaces",
}


@pytest.mark.parametrize("text", CONFIGS)
def test_errors_of_configs(text):
    Path("c.yaml").write_text(text)
    result = pix2pix("--quiet", "train", "--config", "c.yaml", *ROOT)
    assert result == Result(2, "", f"error: c.yaml{CONFIGS[text]}\n")


# A command, and its exit code and error. `run` is a finished run; `ds`, `odd`, `torn` and `alone` are data sets.
COMMANDS = {
    ("train", "--config", "none.yaml"): (
        *(2, "'none.yaml': no file and no shipped config of that name; "),
        "`pix2pix configs list` shows the shipped configs",
    ),
    ("train", "--config", "facade"): (
        *(2, "'facade': no file and no shipped config of that name; did you mean 'facades'? "),
        "`pix2pix configs list` shows the shipped configs",
    ),
    ("train", "--config", "demo", "--set", "loss.lambda_l1"): (
        *(2, "--set loss.lambda_l1: write it as KEY=VALUE, such as loss.lambda_l1=50"),
    ),
    ("train", "--config", "demo", "--set", "data.image_size=100"): (
        *(
            2,
            "--set data.image_size=100: data.image_size 100 does not fit a U-Net of 5 levels, which needs sides that ",
        ),
        "32 divides; nearest that works: 96 or 128; or set model.generator.depth to 2",
    ),
    ("train", "--config", "facades", "--data", "nowhere"): (
        *(3, "nowhere: no such folder; set data.root or pass --data with where your pairs are, or get the facades "),
        "with: pix2pix download facades",
    ),
    ("train", *TINY, "--data", "odd"): (
        *(3, "odd/train/9.png: is 63 pixels wide, which cannot be halved; it should hold A and B side by side"),
    ),
    ("train", *TINY, "--data", "torn", "--output", "other"): (
        *(3, "torn/train/0.png: cannot be read as an image (image file is truncated); remove it or replace it"),
    ),
    ("train", *TINY, "--data", "alone", "--output", "other"): (
        *(3, "two-folders alone/train/a and alone/train/b: 1 without a partner of the same name: "),
        "alone/train/a/2.png; add or remove them, or set data.unmatched to skip",
    ),
    ("check",): (2, "there is no data set to check; give --data ROOT, or --config FILE|NAME"),
    ("sample", "--weights", "none.pt"): (
        *(4, "none.pt: no such file; a run writes its weights to <its output folder>/gen.pt"),
    ),
    ("sample", "--weights", "torn/train/0.png"): (
        *(4, "torn/train/0.png: is not a weights file, or is damaged; give a gen.pt that pix2pix wrote"),
    ),
    ("sample", "--weights", "run/gen.pt", "--input", "none.png"): (
        *(3, "none.png: no such file or folder, and no image matches it; give a file, a folder or a glob"),
    ),
    ("train", *TINY, "--output", "empty", "--resume"): (
        *(4, "empty: has no checkpoint to resume from; leave --resume out to start a run there"),
    ),
    ("train", *TINY, "--output", "run", "--set", "loss.lambda_l1=50"): (
        *(2, "run: holds a run of another config; choose another --output, resume nevertheless with "),
        *("--allow-changed KEY, or move it aside with --fresh\n", "  loss.lambda_l1: was 100.0, now 50.0"),
    ),
    ("train", *TINY, "--output", "ds/train/0.png"): (
        *(4, "ds/train/0.png: is a file, and a folder is needed; choose another --output"),
    ),
    ("configs", "copy", "demo", "--output", "ds/train/0.png"): (
        *(4, "ds/train/0.png: already exists; remove it or give another name with --output"),
    ),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[-60:])
def test_errors_of_commands(command, trained):
    code, *words = COMMANDS[command]
    for name in ("ds", "odd", "torn"):
        pairs(name, "train")
    picture("odd/train/9.png", 31, 63)
    Path("torn/train/0.png").write_bytes(Path("torn/train/0.png").read_bytes()[:200])
    for name in ("a/1", "b/1", "a/2"):
        picture(f"alone/train/{name}.png")
    result = pix2pix(*command)
    assert (result.code, result.err) == (code, f"error: {''.join(words)}\n")


def test_the_lines_of_a_training(finished, capsys):
    folder, result = finished
    lines = [line.replace(str(folder), "RUN") for line in result.out.splitlines()]
    lines = [re.sub(r"N [KM]iB", "SIZE", re.sub(r"\d+\.\d+(e-\d+)?", "N", line)) for line in lines]
    step = "d/loss N  d/real N  d/fake N  g/loss N  g/gan N  g/l1 N  N images/s"
    assert lines[0].endswith("demo.yaml (shipped config)") and lines[0].startswith("config ")
    assert lines[1].startswith("pix2pix ")
    assert lines[2:] == [
        "  data          drawn facades, b2a: 5 pairs to train on, 2 of val to validate, read in this process",
        "  input         image, 3 channels, 8-bit, 0 to 255",
        "  target        image, 3 channels, 8-bit, 0 to 255",
        "  cache         train in memory, SIZE; val in memory, SIZE",
        "  images        36x36, cropped to 32x32",
        "  steps         2 epochs x 3 steps of 2 = 6 steps",
        "  generator     unet, 5 levels, 16,663 parameters",
        "  discriminator patchgan, 2x2 decisions, 3,195 parameters",
        "  device        cpu (1 thread), fp32",
        "  memory        about SIZE at the peak (program SIZE, networks and Adam SIZE, activations SIZE)",
        "  results       RUN",
        *(f"step {number}/6  {step}" for number in (1, 2, 3)),
        "epoch 1/2  val/l1 N",
        *(f"step {number}/6  {step}" for number in (4, 5, 6)),
        "epoch 2/2  val/l1 N",
        "done: 2 epochs, 6 steps; weights in RUN/gen.pt",
    ]


def test_the_last_lines_of_a_run_that_is_finished_stopped_and_resumed(trained, capsys):
    again = pix2pix("train", *TINY, "--output", "run").out.splitlines()
    assert again[-1] == "this run is finished: 2 epochs, 6 steps; weights in run/gen.pt; --fresh starts it again"
    newest = max(Path("run/checkpoints").glob("step_*"))
    (newest / "state.pt").write_bytes(b"damaged")
    lines = pix2pix("train", *TINY, "--output", "run").out.splitlines()
    assert {f"{newest}: state.pt is damaged; skipped", "resuming from step 3 (epoch 2)"} <= set(lines)
    with to_console():
        trainer = Trainer(make_config(Path("stopped")))
        assert not trainer.fit(stop=after(trainer, 2))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "stopped at step 2, all saved in stopped; the same command resumes from here"


# Terms of an earlier dialect, and what the field says instead: in names, strings and comments ...
NEVER = {
    r"\banew\b": "again",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bgo(es|ing)? on with\b|\bgone on\b|\bgoes on\b": "resumes, continues",
    r"\bpassed over\b": "skipped",
    r"\bwhereabouts\b": "source",
    r"\bnot finite\b": "non-finite",
    r"\btold as\b": "reported as",
    r"\bone's own\b": "your own",
    r"\blonely\b": "unpaired",
    r"\bsays_input\b|\bfalls_to_val\b": "has_named_roles, is_validation_key",
    r"\bsurroundings\b": "environment",
    r"\bHARMLESS\b": "MUTABLE_KEYS",
    r"\bbest_generator\b": "ema_generator",
    r"\bimages_a_pass\b": "micro_batch_size",
    r"\bsynchronise_norms\b": "convert_sync_batchnorm",
    r"\bkeeping\.|\bepoch_end\b|\bmake_up_for\b|\bleft_over\b": "checkpointer, evaluator",
    r"\bunless_stopped\b|\b_cut_back\b": "stoppable, truncate_after",
    r"\bfirst_rank_first\b": "rank_zero_first",
    r"\bthe friend\b|\ba friend\b|\bnothing to say against\b": "plain words",
}
# ... and those that are only wrong as the names of classes, functions, parameters and variables.
NEVER_NAMES = {
    **{"Draw": "AugmentParams", "DrawnPair": "SyntheticPair", "Form": "ImageFormat", "Forms": "PairFormat"},
    **{"PictureFormat": "ImageFormatConfig", "find_forms": "infer_formats", "forms": "formats"},
    **{"network_channels": "tensor_channels", "Picture": "DecodedImage", "Beside": "Unmatched", "Glimpse": "RawStats"},
    **{"Look": "ImageStats", "Seen": "PairStats", "Room": "CacheBudget", "Side": "ArraySpec"},
    **{"chances": "counter_uniforms", "doubles": "name_clashes", "couples": "folder_pairs", "spans": "offsets"},
    **{"open_fixed": "open_eval_split", "agreed": "all_equal", "averaging": "wrap_ddp", "staged": "atomic_dir"},
    **{"making": "exclusive_build", "family": "cache_prefix", "central": "center_crop", "follow": "update_ema"},
    **{"netG": "generator", "netD": "discriminator", "errG": "g/loss", "fake_B": "fake", "real_A": "x"},
}
# What the files of this version hold, which no rename may change, and what is Pillow's.
IN_FILES, OTHERS = {"surroundings", "forms: dict"}, {"ImageDraw.Draw", "content.forms"}


def _unusual(path: Path) -> list[str]:
    """Each term of the lists above in a module, with its line and the field's own."""
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    found = []
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        text, line, before = " ".join(token.string.split()), token.start[0], token.line[: token.end[1]].strip()
        allowed = before.endswith(tuple(OTHERS)) or token.line.strip().startswith(tuple(IN_FILES))
        if token.type == tokenize.NAME and text in NEVER_NAMES and not allowed:
            found.append(f"line {line}: {text}; write: {NEVER_NAMES[text]}")
        if token.type in kinds | {tokenize.NAME} and text.strip("\"'") not in IN_FILES:
            matches = ((re.search(words, text), instead) for words, instead in NEVER.items())
            found += [f"line {line}: {match[0]}; write: {instead}" for match, instead in matches if match]
    return found


def test_every_place_of_a_term_is_seen():
    Path("x.py").write_text('"""Go\nanew."""\nforms = f"{1} whereabouts"  # mended\n')
    assert [place.split(";")[0] for place in _unusual(Path("x.py"))] == [
        *("line 1: anew", "line 3: forms", "line 3: whereabouts", "line 3: mended")
    ]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_words_of_the_field(path):
    assert _unusual(path) == []


def test_shipped_configs_and_documentation_use_the_words_of_the_field():
    root = Path(__file__).parents[1]
    pages = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("configs/*.yaml")]
    assert len(pages) >= 20
    found = [
        (path.name, match[0])
        for path in pages
        for words in NEVER
        if (match := re.search(words, path.read_text(encoding="utf-8")))
    ]
    assert found == []
