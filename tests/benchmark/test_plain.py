"""The plain recipe computes what ours does, so that their times can be compared."""

import pytest
import torch

from pix2pix import Trainer
from pix2pix.benchmark.plain import PlainTrainer
from pix2pix.config import config_from_dict
from pix2pix.data.formats.image_format import RGB


def test_losses_are_ours():
    model = {"generator": {"base_channels": 2}, "discriminator": {"base_channels": 2, "n_layers": 2}}
    data = {"root": "unused", "image_size": 32, "batch_size": 2}
    trainer = Trainer(config_from_dict({"data": data, "model": model, "run": {"device": "cpu"}}, "test"), formats=RGB)
    plain = PlainTrainer(5, 2, 2)  # a depth of 5 has no dropout
    plain.load(trainer.generator, trainer.discriminator)
    x, y = torch.rand(2, 2, 3, 32, 32).mul(2).sub(1)
    for _ in range(3):
        ours, reference = trainer.train_step(x, y), plain.train_step(x, y)
        assert {k: v.item() for k, v in ours.items()} == pytest.approx(
            {k: v.item() for k, v in reference.items()}, rel=1e-4
        )
