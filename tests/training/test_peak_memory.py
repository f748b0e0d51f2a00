"""The predicted memory, and the settings that are named where it runs out."""

import pytest
import torch
from runs import make_config

from pix2pix import Trainer
from pix2pix.errors import MemoryLimitError
from pix2pix.models.cost import forward_cost
from pix2pix.training import peak_memory
from pix2pix.training.peak_memory import MemoryNeed, predict_memory, settings_that_fit

MIB = 2**20


def test_the_cost_of_a_convolution():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 4, 2, 1), torch.nn.ReLU(), torch.nn.ConvTranspose2d(8, 3, 4, 2, 1)
    )
    cost = forward_cost(network, (3, 16, 16))
    assert cost.multiplications == 64 * 3 * 8 * 16 * 2 and cost.pixels == {"0": 64, "2": 64}
    # The input, which the first convolution needs, and the output of the ReLU, which both layers share.
    assert (cost.saved_bytes, cost.largest_bytes) == (4 * (3 * 256 + 8 * 64), 4 * 3 * 256)
    norm = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Dropout())
    state = torch.get_rng_state()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    assert forward_cost(norm, (3, 2, 2)) and forward_cost(norm, (3, 1, 1)) is None  # batch norm of one value
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_what_the_prediction_adds_up(tmp_path):
    trainer = Trainer(make_config(tmp_path, data={"batch_size": 4}, optimizer={"accumulation_steps": 2}))
    networks = trainer.networks
    (g, d), weights = (
        networks.costs,
        sum(p.nbytes for n in (trainer.generator, trainer.discriminator) for p in n.parameters()),
    )
    need = predict_memory(trainer.config, networks, cached=10 * MIB)
    assert need.networks == 4 * weights and need.images == 2
    assert need.per_image == max(g.saved_bytes + d.saved_bytes, 2 * d.saved_bytes) + 2 * max(
        g.largest_bytes, d.largest_bytes
    )
    assert need.program == networks.resident_bytes - weights + 50 * MIB
    assert need.total == need.program + need.networks + 2 * need.per_image


@pytest.mark.parametrize(
    ("batch", "steps", "limit", "expected"),
    [
        (8, 1, 700, ["data.batch_size=4", "optimizer.accumulation_steps=2", "data.image_size=160"]),
        (8, 2, 400, ["data.batch_size=2", "optimizer.accumulation_steps=8", "data.image_size=128"]),
        (1, 1, 399, ["data.image_size=160"]),
        (8, 1, 299, []),
    ],
)
def test_settings_that_fit(tmp_path, batch, steps, limit, expected):
    config = make_config(
        tmp_path,
        data={"image_size": 256, "load_size": 286, "batch_size": batch},
        optimizer={"accumulation_steps": steps},
    )
    images = batch // steps
    need = MemoryNeed(100 * MIB, 200 * MIB, 100 * MIB if images > 1 else 200 * MIB, images)
    assert settings_that_fit(config, need, limit * MIB) == expected


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("DefaultCPUAllocator: x")]
)
def test_a_run_that_lacks_memory_names_settings(tmp_path, monkeypatch, error):
    trainer = Trainer(make_config(tmp_path / "run"))

    def fail(*_):
        raise error

    need = predict_memory(trainer.config, trainer.networks)
    monkeypatch.setattr(trainer, "train_step", fail)
    monkeypatch.setattr(peak_memory, "device_memory", lambda _: (need.total - need.per_image) / 0.9 + 1)
    with pytest.raises(MemoryLimitError, match="out of memory on cpu") as caught:
        trainer.fit()
    assert caught.value.exit_code == 2
    assert caught.value.settings == ["data.batch_size=1", "optimizer.accumulation_steps=2"]


def test_other_errors_stay_as_they_are(tmp_path, monkeypatch):
    trainer = Trainer(make_config(tmp_path / "run"))

    def fail(*_):
        raise RuntimeError("something else")

    monkeypatch.setattr(trainer, "train_step", fail)
    with pytest.raises(RuntimeError, match="something else"):
        trainer.fit()
