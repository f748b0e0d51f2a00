"""The shipped configs: value by value, at another size, and through a whole short run."""

from pathlib import Path

import pytest
import torch
from commands import pairs, picture

from pix2pix.config import PatchGANConfig, UNetConfig, config_difference, load_config, shipped_configs
from pix2pix.models.build import build_discriminator, build_generator
from pix2pix.training.metrics import read_metrics
from pix2pix.training.trainer import Trainer

SHIPPED = [
    "cityscapes", "demo", "edges2handbags", "edges2shoes", "facades", "facades_paper", "facades_tutorial", "maps",
    "night2day", "own",
]  # fmt: skip
NARROW = ["model.generator.base_channels=2", "model.discriminator.base_channels=2"]


def test_there_are_ten():
    assert list(shipped_configs()) == SHIPPED and len(SHIPPED) == 10


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_config_loads_and_says_what_it_is(name):
    config = load_config(name, ["data.root=data/own"] if name == "own" else [])
    head = shipped_configs()[name].read_text(encoding="utf-8").split("\ndata:")[0]
    assert config.run.output == f"runs/{name}"
    assert config.data.root == (None if name == "demo" else f"data/{name.split('_')[0]}")
    assert "\n# Data: " in head and f"pix2pix train --config {name}" in head
    if config.data.batch_size > 1 and not name.startswith("facades"):
        assert config.model.generator.norm == config.model.discriminator.norm == "instance_affine"


@pytest.mark.parametrize(
    ("name", "batch", "epochs", "load", "flip", "direction"),
    [
        ("facades_paper", 1, 200, (286, 286), True, "b2a"),
        ("maps", 1, 200, (286, 286), True, "a2b"),
        ("cityscapes", 10, 200, (286, 286), True, "b2a"),
        ("edges2shoes", 4, 15, (256, 256), False, "a2b"),
        ("edges2handbags", 4, 15, (256, 256), False, "a2b"),
        ("night2day", 4, 17, (286, 286), True, "a2b"),
    ],
)
def test_the_papers_settings_of_each_data_set(name, batch, epochs, load, flip, direction):
    config = load_config(name)
    data, loss, schedule = config.data, config.loss, config.schedule
    assert (data.batch_size, schedule.epochs, data.load) == (batch, epochs, load)
    assert (data.flip, data.direction, data.crop, data.interpolation) == (flip, direction, (256, 256), "bicubic")
    assert (loss.adversarial, loss.lambda_gan, loss.lambda_l1, loss.generator_condition) == ("bce", 1, 100, "input")
    assert config.model.generator.model_copy(update={"norm": "batch"}) == UNetConfig()
    assert config.model.discriminator.model_copy(update={"norm": "batch"}) == PatchGANConfig()
    assert (config.optimizer.lr, config.optimizer.betas) == (2e-4, (0.5, 0.999))
    assert (schedule.update_order, schedule.decay_epochs) == ("discriminator-first", 100 if epochs == 200 else 0)


def test_the_tutorials_recipe():
    config, letter = load_config("facades"), load_config("facades_tutorial")
    assert config_difference(config, letter) == [
        ("data.interpolation", "bicubic", "bilinear"),
        ("loss.generator_condition", "input", "target"),
        ("run.output", "runs/facades", "runs/facades_tutorial"),
    ]
    assert (letter.data.direction, letter.data.batch_size, letter.data.flip) == ("b2a", 32, False)
    assert letter.data.crop == letter.data.load == (256, 256)
    assert letter.model.generator == UNetConfig(
        norm="instance", skip="after-activation", down_slope=0.2, up_slope=0.01, dropout=0.5,
        dropout_down="from 4", dropout_up="from 5", bias=False,
    )  # fmt: skip
    assert letter.model.discriminator == PatchGANConfig(
        kernel_size=3, n_layers=4, stride1_layer=False, norm="instance", bias=True
    )
    assert (letter.model.init.weights, letter.model.init.gain, letter.model.init.biases) == ("normal", 0.02, "default")
    assert (letter.loss.adversarial, letter.loss.lambda_gan, letter.loss.lambda_l1) == ("mse_sigmoid", 1.0, 100.0)
    assert (letter.optimizer.lr, letter.optimizer.betas) == (2e-4, (0.5, 0.999))
    schedule = letter.schedule
    assert (schedule.epochs, schedule.decay_epochs, schedule.update_order) == (100, 0, "generator-first")


# At 256 these are the levels of the recipes; at another size they follow the depth, 7 at 128.
LEVELS = {
    (256, True): ({4, 5, 6, 7, 8}, {5, 6, 7, 8}),
    (128, True): ({4, 5, 6, 7}, {5, 6, 7}),
    (256, False): (set(), {5, 6, 7}),
    (128, False): (set(), {5, 6}),
}


@pytest.mark.parametrize("size", [256, 128])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_networks_and_the_jitter_follow_image_size(name, size):
    config = load_config(name, ["data.root=data/own"] * (name == "own") + [f"data.image_size={size}", *NARROW])
    generator, _ = build_generator(config), build_discriminator(config)
    tutorial = name in ("facades", "facades_tutorial")
    assert (generator.dropout_down, generator.dropout_up) == LEVELS[size, tutorial]
    assert generator.multiple == size
    jitter = name in ("cityscapes", "facades_paper", "maps", "night2day")
    side = {256: 286, 128: 143}[size] if jitter else size
    assert config.data.load == (side, side)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_config_trains_on_data_as_it_describes(name):
    """Two updates and a validation at 64 pixels; all that is changed is size, width, length and device."""
    short = ["data.image_size=64", "data.batch_size=1", "schedule.epochs=1", "schedule.decay_epochs=0", *NARROW,
             "run.device=cpu", "data.workers=0", "data.synthetic.train=2", "data.synthetic.val=1"]  # fmt: skip
    root = ["data.root=data/own"] if name == "own" else []
    config = load_config(name, root + short)
    changed = {override.split("=")[0] for override in short}
    assert {key for key, _, _ in config_difference(load_config(name, root), config)} <= changed
    if name == "cityscapes":
        for split, side, index in (
            ("train", "a", 0),
            ("train", "b", 0),
            ("train", "a", 1),
            ("train", "b", 1),
            ("val", "a", 0),
            ("val", "b", 0),
        ):
            picture(f"{config.data.root}/{split}/{side}/{index}.png", 64, 64, seed=index)
    elif name != "demo":
        pairs(config.data.root, "train", count=2, size=64)
        pairs(config.data.root, "val", count=1, size=64)
    trainer = Trainer(config)
    networks = {"generator": trainer.generator, "discriminator": trainer.discriminator}
    before = {name: {key: p.clone() for key, p in net.named_parameters()} for name, net in networks.items()}
    assert trainer.fit() and (trainer.state.step, trainer.state.samples_seen) == (2, 2)
    records = read_metrics(Path(config.run.output, "metrics.jsonl"))
    assert {"d/loss", "d/real", "d/fake", "g/loss", "g/gan", "g/l1", "val/l1"} <= {key for r in records for key in r}
    for kind, network in networks.items():
        parameters = dict(network.named_parameters())
        assert all(value.isfinite().all() for value in parameters.values())
        kernels = {key for key, value in parameters.items() if value.ndim == 4}
        unchanged = {key for key in kernels if torch.equal(parameters[key], before[kind][key])}
        assert len(unchanged) <= 1, (
            unchanged
        )  # a norm of a single pixel takes all: the kernel before it has no gradient
