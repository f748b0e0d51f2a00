"""Configs: the words of every error in a file or a --set."""

import random
import re
from pathlib import Path

import pytest
from malformed_configs import WRONG_TYPES, misspelt, sections
from pydantic import ValidationError

from pix2pix.config import ResNetConfig, load_config, read_config
from pix2pix.config.hints import FOREIGN_KEYS, unknown_key
from pix2pix.errors import ConfigError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes c.yaml in an empty working folder and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes) -> str:
        Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return "c.yaml"

    return write


def errors(source, overrides=()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    return str(caught.value).split("\n")


# --- one error for everything ---


def test_all_errors_are_shown_together_sorted_by_line_with_flags_last(write):
    text = """data:
  root: x
  flip: no
  fineSize: 256
  workers: -1
loss:
  lambda_L1: 50
  epochs: 5
  adversarial: vanilla
model:
  generator:
    name: unett
    depht: 3
    blocks: 9
    dropout_up: [9, 0]
  discriminator: 5
optimizer: {lr: "2e-4", betas: [0.5, 1]}
schedule: {epochs: 20, decay_epochs: 30}
"""
    assert errors(write(text), ["loss.lambda_l=50", "run.log_every_steps=0"]) == [
        "c.yaml:3: data.flip is 'no', but must be true or false",
        "c.yaml:4: unknown key 'fineSize' in data; here it is data.image_size",
        "c.yaml:5: data.workers is -1, but must be auto or a whole number from 0 to 256",
        "c.yaml:7: unknown key 'lambda_L1' in loss; did you mean 'lambda_l1'?",
        "c.yaml:8: unknown key 'epochs' in loss; it belongs in schedule",
        "c.yaml:9: loss.adversarial is 'vanilla', but must be one of bce, mse, mse_sigmoid, bce_sigmoid, hinge; "
        "did you mean 'bce'?",
        "c.yaml:12: model.generator.name is 'unett', but must be one of unet, resnet; did you mean 'unet'?",
        "c.yaml:13: unknown key 'depht' in model.generator (unet); did you mean 'depth'?",
        "c.yaml:14: unknown key 'blocks' in model.generator (unet); it belongs in model.generator (resnet)",
        "c.yaml:15: model.generator.dropout_up is [9, 0], "
        "but must be auto or a list, each a whole number of at least 1 or text such as from 4",
        "c.yaml:16: model.discriminator is 5, but must be a mapping of keys",
        "c.yaml:17: optimizer.lr is '2e-4', but must be a number above 0",
        "c.yaml:17: optimizer.betas is [0.5, 1], but must be a list of 2, each a number of at least 0 and below 1",
        "c.yaml:18: schedule.decay_epochs (30) is more than schedule.epochs (20); "
        "it is the number of last epochs over which the rate falls",
        "--set loss.lambda_l=50: unknown key 'lambda_l' in loss; did you mean 'lambda_l1'?",
        "--set run.log_every_steps=0: run.log_every_steps is 0, but must be a whole number of at least 1",
    ]


@pytest.mark.parametrize(("section", "key", "value"), WRONG_TYPES)
def test_a_wrong_value_is_named_with_what_is_allowed(write, section, key, value):
    root = "" if (section, key) == ("data", "root") else "data.root=x"
    (message,) = errors(write(f"{section}:\n  {key}: {value}\n"), [root] if root else [])
    assert re.fullmatch(rf"c\.yaml:2: {section}\.{key} is .+, but must be .+", message)


def test_choices_of_whole_numbers_take_no_floats(write):
    (message,) = errors(write("data: {root: x}\nmodel:\n  discriminator:\n    kernel_size: 4.0"))
    assert message == "c.yaml:4: model.discriminator.kernel_size is 4.0, but must be one of 3, 4"


def test_whole_numbers_are_numbers_and_lists_become_tuples(write):
    config = load_config(
        write("data: {root: x, image_size: [256, 512]}\nloss: {lambda_l1: 7}\nrun: {device: 'cuda:1'}")
    )
    assert config.loss.lambda_l1 == 7.0 and type(config.loss.lambda_l1) is float
    assert config.data.image_size == config.data.crop == config.data.load == (256, 512)
    assert config.optimizer.betas == (0.5, 0.999) and config.run.device == "cuda:1"
    with pytest.raises(ValidationError):
        config.loss.lambda_l1 = 3.0


# --- words for unknown keys ---


def test_suggestions_are_right_for_nearly_every_misspelling():
    rng, right, count = random.Random(7), 0, 0
    for section, name, model in sections():
        for key in (key for key in model.model_fields if len(key) >= 5):
            for _ in range(30):
                word = misspelt(key, model.model_fields, rng)
                count += 1
                right += unknown_key(word, section, model, name).meant == (f"{section}.{key}" if section else key)
    assert count > 1000 and right / count >= 0.95, f"{right} of {count}"


def test_every_field_has_a_description():
    fields = [(section, key, field) for section, _, model in sections() for key, field in model.model_fields.items()]
    assert len(fields) > 70 and [(section, key) for section, key, field in fields if not field.description] == []


def test_other_programs_names_are_recognised_and_point_to_keys_that_exist(write):
    names = re.findall(
        r"\w+",
        """netG netD ngf ndf niter niter_decay n_epochs n_epochs_decay fineSize crop_size loadSize which_direction
        batchSize lr_policy gan_mode no_flip dataroot checkpoints_dir name gpu_ids beta1 pool_size which_model_netG
        no_dropout n_layers_D num_threads serial_batches max_dataset_size continue_train""",
    )
    for some in (names[:15], names[15:]):  # of more than 20 only the number is reported
        found = errors(write("\n".join(f"{name}: 1" for name in some)), ["data.root=x"])
        for name, message in zip(some, found, strict=True):
            assert message.endswith(f"unknown key {name!r}; {FOREIGN_KEYS[name.lower()]}")
    ours = {f"{section}.{key}" for section, _, model in sections() for key in model.model_fields}
    for hint in FOREIGN_KEYS.values():
        assert set(re.findall(r"\b(?:data|model|loss|optimizer|schedule|run)\.[a-z0-9_.]*[a-z0-9_]", hint)) <= ours


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lambda_L1: 5", "unknown key 'lambda_L1'; it belongs in loss as 'lambda_l1'"),
        ("run: {load_size: 5}", "unknown key 'load_size' in run; it belongs in data"),
        ("run: {epohcs: 5}", "unknown key 'epohcs' in run; did you mean 'epochs', which belongs in schedule?"),
        ("data: {base_channels: 5}", "it belongs in model.generator or in model.discriminator"),
        ("loss: {model: 5}", "it belongs at the top level"),
        ("loss: {qqqq: 5}", "the keys in loss are adversarial, lambda_gan, lambda_l1, generator_condition"),
        ("model: {generator: {name: resnet, skip: x}}", "(resnet); it belongs in model.generator (unet)"),
        ("model: {generator: {name: 5}}", "model.generator.name is 5, but must be one of unet, resnet"),
        ("loss:", "loss is null, but must be a mapping of keys"),
    ],
)
def test_what_is_said_about_a_wrong_key(write, text, words):
    (message,) = errors(write(text), ["data.root=x"])
    assert message.startswith("c.yaml:1: ") and words in message


def test_a_misspelled_root_is_one_error_not_two(write):
    assert errors(write("data: {rot: x}")) == ["c.yaml:1: unknown key 'rot' in data; did you mean 'root'?"]


# --- across keys ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: {root: x, load_size: 255}", "data.load_size 255 is smaller than data.image_size 256"),
        ("data: {root: x, load_size: [255, 300]}", "data.load_size [255, 300] is smaller than data.image_size 256"),
        ("data: {root: x, load_size: [300, 255]}", "data.load_size [300, 255] is smaller than data.image_size 256"),
        ("data: {root: x, image_size: 286}", "does not fit a U-Net of 5 levels, which needs sides that 32 divides; "
         "nearest that works: 256 or 288"),
        ("data: {root: x, image_size: [256, 272]}", "[256, 256] or [256, 288]; or set model.generator.depth to 4"),
        ("data: {root: x}\nmodel: {generator: {depth: 9}}", "a U-Net of 9 levels, which needs sides that 512 divides"),
        ("data: {root: x, image_size: 258}\nmodel: {generator: {name: resnet}}", "nearest that works: 256 or 260"),
        ("data: {root: x}\nmodel: {generator: {dropout_down: [9]}}", "dropout_down names level 9, but this U-Net has "
         "levels 1 to 8; leave out what is above 8"),
        ("data: {root: x, image_size: 128}\nmodel: {generator: {dropout_up: [7, 8]}}", "dropout_up names level 8, but"),
        ("data: {root: x, image_size: 32}\nmodel: {discriminator: {n_layers: 4}}", "smallest side that works is 48"),
    ],
)  # fmt: skip
def test_conflicts_between_valid_keys(write, text, words):
    (message,) = errors(write(text))
    assert re.match(r"c\.yaml:[12]: ", message) and words in message


def test_only_commands_need_a_source_in_the_config(write):
    """A Trainer may be given its data."""
    source = write("data: {direction: b2a}")
    assert load_config(source).data.root is None
    with pytest.raises(ConfigError, match=r"^c\.yaml:1: .* data\.root .*--data ROOT$"):
        read_config(Path(source), needs_source=True)


def test_a_norm_over_a_single_pixel_is_refused(write):
    source = write(
        "data: {root: x, image_size: 16}\nmodel:\n  generator: {depth: 4, dropout_up: []}\n"
        "  discriminator: {kernel_size: 3, n_layers: 4, stride1_layer: false}"
    )
    (message,) = errors(source)
    assert "image_size 16 is too small for the discriminator" in message and "that works is 17" in message
    assert load_config(source, ["model.discriminator.norm=none"]).data.crop == (16, 16)


def test_drawn_pairs_need_no_root(write):
    assert load_config(write("data: {layout: synthetic}")).data.root is None


# --- --set ---


def test_overrides_go_through_the_same_door():
    sets = ["loss.lambda_l1=50", "optimizer.lr=1e-3", "optimizer.betas=[0, 0.9]", "model.generator.base_channels=8",
            "run.ema=null", "data.root=no", "data.root=yes", 'run.output="a: b"']  # fmt: skip
    config = load_config("facades_paper", sets)
    assert (config.loss.lambda_l1, config.optimizer.lr, config.optimizer.betas) == (50.0, 1e-3, (0.0, 0.9))
    assert (config.model.generator.base_channels, config.run.ema, config.data.root) == (8, None, "yes")
    assert config.run.output == "a: b"


def test_another_network_drops_the_keys_of_the_old_one_only():
    generator = load_config(
        "facades_paper", ["model.generator.name=resnet", "model.generator.blocks=6"]
    ).model.generator
    assert generator == ResNetConfig(blocks=6, dropout=0.5)
    (message,) = errors("facades_paper", ["model.generator.name=resnet", "model.generator.skip=before-activation"])
    assert message.startswith("--set model.generator.skip=before-activation: unknown key 'skip'")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("loss.lambda_L1=50", "unknown key 'lambda_L1' in loss; did you mean 'lambda_l1'?"),
        ("lambda_l1=50", "unknown key 'lambda_l1'; it belongs in loss"),
        ("loss.lambda_l1", "write it as KEY=VALUE"),
        ("loss..lambda_l1=5", "write it as KEY=VALUE"),
        ("loss.lambda_l1=", "no value after ="),
        ("data.root=#1", "no value after ="),
        ("optimizer.betas=[0.5", "not YAML"),
        ("loss={lambda_l1: 5}", "the value is a mapping; set its keys one by one"),
        ("loss=5", "loss is 5, but must be a mapping of keys"),
        ("optimizer.lr.x=5", "optimizer.lr holds a value, not keys"),
        ("data.root=&a x", "anchor &a is not allowed"),
        ("schedule.epochs=50", "schedule.decay_epochs (100) is more than schedule.epochs (50)"),
        ("model.generator.name=unett", "did you mean 'unet'?"),
        ("los.lambda_l1=5", "unknown key 'los'; did you mean 'loss'?"),
    ],
)
def test_an_error_in_an_override_names_the_flag(flag, words):
    (message,) = errors("facades_paper", [flag])
    assert message.startswith(f"--set {flag}: ") and words in message
