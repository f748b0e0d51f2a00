"""Every shipped config trains: two steps on the CPU, with narrow networks and one pair a batch."""

import pytest
import torch

from pix2pix.config import config_difference, load_config, shipped_configs
from pix2pix.data.augment.apply import to_float
from pix2pix.data.formats.image_format import RGB
from pix2pix.datasets.synthetic.draw import draw_pair
from pix2pix.training.trainer import Trainer

SMALLER = {
    "data.batch_size": 1,
    "model.generator.base_channels": 2,
    "model.discriminator.base_channels": 2,
    "run.device": "cpu",
}


def test_there_are_nine():
    assert len(shipped_configs()) == 9


@pytest.mark.parametrize("name", shipped_configs())
def test_a_shipped_config_trains(name):
    config = load_config(name, [f"{key}={value}" for key, value in SMALLER.items()])
    assert {key for key, _, _ in config_difference(load_config(name), config)} <= SMALLER.keys()
    trainer = Trainer(config, RGB)
    networks = (trainer.generator, trainer.discriminator)
    before = [{key: value.clone() for key, value in network.named_parameters()} for network in networks]
    x, y = (to_float(torch.tensor(image).permute(2, 0, 1)[None]) for image in draw_pair(0, size=config.data.crop))
    for _ in range(2):
        report = trainer.train_step(x, y)
        assert all(value.isfinite() and value.ndim == 0 for value in report.values()), report
        assert report.keys() == {"d/loss", "d/real", "d/fake", "g/loss", "g/gan", "g/l1"}
    assert (trainer.step, trainer.samples_seen) == (2, 2)
    for network, earlier in zip(networks, before, strict=True):
        # A norm takes away the bias before it, and a norm of a single pixel takes all: their gradients are 0.
        kernels = {key for key, value in earlier.items() if value.ndim == 4}
        changed = {key for key, value in network.named_parameters() if not torch.equal(value, earlier[key])}
        assert all(value.isfinite().all() for value in network.parameters())
        assert len(kernels - changed) <= 1, kernels - changed
