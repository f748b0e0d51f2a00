"""The shipped configs, value by value."""

import pytest

from pix2pix.config import PatchGANConfig, UNetConfig, config_difference, load_config, shipped_configs

SHIPPED = [
    "cityscapes", "demo", "edges2handbags", "edges2shoes", "facades", "facades_paper", "facades_tutorial", "maps",
    "night2day",
]  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_config_loads_and_says_what_it_is(name):
    assert list(shipped_configs()) == SHIPPED and len(SHIPPED) == 9
    config, head = load_config(name), shipped_configs()[name].read_text(encoding="utf-8").split("\ndata:")[0]
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
def test_the_papers_settings_a_data_set(name, batch, epochs, load, flip, direction):
    config = load_config(name)
    data, loss, schedule = config.data, config.loss, config.schedule
    assert (data.batch_size, schedule.epochs, data.load) == (batch, epochs, load)
    assert (data.flip, data.direction, data.crop, data.interpolation) == (flip, direction, (256, 256), "bicubic")
    assert (loss.adversarial, loss.lambda_gan, loss.lambda_l1, loss.generator_condition) == ("bce", 1, 100, "input")
    assert config.model.generator.model_copy(update={"norm": "batch"}) == UNetConfig(dropout_up=(7, 6, 5))
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
        dropout_down=(4, 5, 6, 7, 8), dropout_up=(8, 7, 6, 5), bias=False,
    )  # fmt: skip
    assert letter.model.discriminator == PatchGANConfig(
        kernel_size=3, n_layers=4, stride1_layer=False, norm="instance", bias=True
    )
    assert (letter.model.init.weights, letter.model.init.gain, letter.model.init.biases) == ("normal", 0.02, "default")
    assert (letter.loss.adversarial, letter.loss.lambda_gan, letter.loss.lambda_l1) == ("mse_sigmoid", 1.0, 100.0)
    assert (letter.optimizer.lr, letter.optimizer.betas) == (2e-4, (0.5, 0.999))
    schedule = letter.schedule
    assert (schedule.epochs, schedule.decay_epochs, schedule.update_order) == (100, 0, "generator-first")
