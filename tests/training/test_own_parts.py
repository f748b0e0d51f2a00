"""Networks, data sets, objectives and callbacks that the user gives to the Trainer."""

from pathlib import Path

import pytest
import torch
from commands import pix2pix
from runs import after, assert_identical, make_config, without_timing
from torch import Tensor, nn
from torch.utils.data import Dataset

from pix2pix import Trainer, load_generator
from pix2pix.config import config_from_dict
from pix2pix.errors import CheckpointError, ConfigError, DataError
from pix2pix.objective import Objective
from pix2pix.training.checkpoint_io import load_newest
from pix2pix.training.metrics import read_metrics

CPU = torch.device("cpu")


class OwnGenerator(nn.Module):
    """Two convolutions with dropout between them."""

    def __init__(self, in_channels: int = 3, out_channels: int = 3):
        super().__init__()
        self.first, self.last = nn.Conv2d(in_channels, 4, 3, padding=1), nn.Conv2d(4, out_channels, 3, padding=1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.last(self.dropout(torch.relu(self.first(x)))))


class OwnDiscriminator(nn.Module):
    """One convolution; the second is frozen, as a pretrained part would be."""

    def __init__(self, in_channels: int = 6):
        super().__init__()
        self.first, self.logits = nn.Conv2d(in_channels, 4, 4, 2), nn.Conv2d(4, 1, 1)
        self.frozen = nn.Conv2d(4, 4, 1).requires_grad_(False)

    def forward(self, condition: Tensor, image: Tensor) -> Tensor:
        return self.logits(self.frozen(torch.relu(self.first(torch.cat([condition, image], 1)))))


class OwnPairs(Dataset):
    """Noise and its negative, uint8 [3, 36, 36]."""

    def __init__(self, count: int, seed: int = 0):
        noise = torch.randint(0, 256, (count, 3, 36, 36), generator=torch.Generator().manual_seed(seed))
        self.items = [{"input": image, "target": 255 - image} for image in noise.to(torch.uint8)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.items[index]


class OwnObjective:
    """Least squares and L2."""

    def discriminator(self, discriminator, x, y, fake):
        loss = (discriminator(x, y) - 1).square().mean() + discriminator(x, fake).square().mean()
        return Objective(loss)

    def generator(self, discriminator, x, y, fake):
        l2 = (fake - y).square().mean()
        return Objective((discriminator(x, fake) - 1).square().mean() + 10 * l2, {"g/l2": l2})


def own_config(output: Path, **run):
    """`data.root` is not set: the data are given."""
    data = {"image_size": 32, "batch_size": 2, "flip": True}
    run = {"output": str(output), "device": "cpu", "log_every_steps": 1, "ema": 0.9} | run
    schedule = {"epochs": 3, "decay_epochs": 1}
    return config_from_dict({"data": data, "schedule": schedule, "run": run}, "test")


def own_trainer(output: Path, **keywords) -> Trainer:
    torch.manual_seed(0)
    parts = {
        "generator": OwnGenerator(),
        "discriminator": OwnDiscriminator(),
        "train_data": OwnPairs(5),
        "val_data": OwnPairs(2, seed=1),
        "objective": OwnObjective(),
    }
    return Trainer(own_config(output), **(parts | keywords))


def test_making_a_trainer_reads_no_data(tmp_path):
    config = own_config(tmp_path / "run")
    trainer = Trainer(config)
    assert trainer.train_step(torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 32, 32))["g/l1"].isfinite()
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"data\.root"):
        trainer.fit()


def test_they_are_trained_saved_and_resumed_to_the_bit(tmp_path):
    whole = own_trainer(tmp_path / "whole")
    frozen = whole.discriminator.frozen.weight.clone()
    assert whole.fit() and whole.state.step == 9
    for _ in range(9):
        pieces = own_trainer(tmp_path / "pieces")
        if pieces.fit(stop=after(pieces, 2)):
            break
    assert_identical(whole, pieces)
    assert torch.equal(whole.discriminator.frozen.weight, frozen)
    assert not whole.discriminator.frozen.weight.requires_grad and whole.discriminator.first.weight.requires_grad
    records = without_timing(tmp_path / "whole/metrics.jsonl")
    assert records == without_timing(tmp_path / "pieces/metrics.jsonl")
    assert {"d/loss", "g/loss", "g/l2"} <= records[0].keys() and "g/l1" not in records[0]
    assert sum("val/l1" in record for record in records) == 3
    assert sorted(path.name for path in (tmp_path / "whole/samples").glob("*.png")) == [
        f"epoch_000{epoch}.png" for epoch in (1, 2, 3)
    ]
    assert torch.equal(
        load_newest(tmp_path / "whole/checkpoints", CPU)["ema"]["first.weight"], whole.ema_generator.first.weight
    )


def test_the_objective_is_what_is_minimised(tmp_path):
    trainer = own_trainer(tmp_path)
    x, y = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before = trainer.generator.last.bias.detach().clone()
    metrics = trainer.train_step(x, y)
    assert metrics.keys() == {"d/loss", "g/loss", "g/l2"}
    assert metrics["g/loss"] > 10 * metrics["g/l2"] > 0
    assert not torch.equal(trainer.generator.last.bias, before)


def test_validation_is_that_of_the_averaged_generator_on_the_middle_of_each_item(tmp_path):
    trainer = own_trainer(tmp_path / "run")
    trainer.fit()
    pairs = OwnPairs(2, seed=1)
    trainer.ema_generator.eval()
    expected = []
    for item in pairs.items:
        x, y = (item[key][None, :, 2:34, 2:34].float() / 127.5 - 1 for key in ("input", "target"))
        with torch.no_grad():
            expected.append((trainer.ema_generator(x) - y).abs().mean().item())
    recorded = [record["val/l1"] for record in read_metrics(tmp_path / "run/metrics.jsonl") if "val/l1" in record]
    assert recorded[-1] == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_without_validation_pairs_there_is_no_best(tmp_path):
    assert own_trainer(tmp_path / "run", val_data=None).fit()
    assert not (tmp_path / "run/best.pt").exists() and (tmp_path / "run/samples/epoch_0003.png").exists()


def test_the_weights_name_the_class_that_they_need(tmp_path):
    trainer = own_trainer(tmp_path / "run")
    trainer.fit()
    path = tmp_path / "run/gen.pt"
    with pytest.raises(CheckpointError) as caught:
        load_generator(path)
    assert OwnGenerator.__qualname__ in str(caught.value) and "generator=" in str(caught.value)
    assert pix2pix("sample", "--weights", path, "--input", "x.png").code == 4
    translator = load_generator(path, generator=OwnGenerator(), device="cpu")
    image = OwnPairs(1).items[0]["input"]
    pixels = translator.translate(image.permute(1, 2, 0).numpy())
    expected = trainer.networks.translate(image[None].float() / 127.5 - 1)[0].permute(1, 2, 0)
    assert pixels.shape == (36, 36, 3)
    assert (torch.from_numpy(pixels).float() / 127.5 - 1 - expected).abs().max() <= 1 / 255 + 1e-6
    with pytest.raises(CheckpointError, match=r"gen\.pt"):
        load_generator(path, generator=OwnGenerator(1))


def test_callbacks_are_given_the_state_and_the_metrics(tmp_path):
    steps, epochs = [], []
    trainer = Trainer(
        make_config(tmp_path / "run"),
        on_step=lambda state, metrics: steps.append((state.step, metrics["g/loss"].item())),
        on_epoch=lambda state, metrics: epochs.append((state.epoch, metrics)),
    )
    trainer.fit()
    assert [step for step, _ in steps] == list(range(1, 10))
    assert [epoch for epoch, _ in epochs] == [1, 2, 3]
    recorded = [record["val/l1"] for record in read_metrics(tmp_path / "run/metrics.jsonl") if "val/l1" in record]
    assert [metrics["val/l1"] for _, metrics in epochs] == recorded


@pytest.mark.parametrize("name", ["generator", "discriminator", "ema_generator"])
def test_assigning_a_network_names_the_keyword(tmp_path, name):
    trainer = Trainer(own_config(tmp_path))
    before = getattr(trainer, name)
    with pytest.raises(
        ConfigError, match="run.ema" if name == "ema_generator" else rf"Trainer\(config, {name}=\.\.\.\)"
    ):
        setattr(trainer, name, OwnGenerator())
    assert getattr(trainer, name) is before


# What does not fit is refused before the first step, in one line


def changed(pairs: OwnPairs, index: int, **values) -> OwnPairs:
    pairs.items[index] = {key: value for key, value in (pairs.items[index] | values).items() if value is not None}
    return pairs


class Returns(OwnObjective):
    """An objective whose generator part returns something else."""

    def __init__(self, value):
        self.value = value

    def generator(self, discriminator, x, y, fake):
        return self.value(fake)


class Elsewhere(OwnGenerator):
    """Returns images of half the size."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :, ::2, ::2]


BAD_PARTS = {
    "generator of other inputs": ({"generator": OwnGenerator(1)}, ConfigError, "generator OwnGenerator .*3, 32, 32"),
    "generator of other outputs": ({"generator": OwnGenerator(3, 1)}, ConfigError, r"into \[1, 1, 32, 32\]"),
    "generator of another size": ({"generator": Elsewhere()}, ConfigError, r"into \[1, 3, 16, 16\]"),
    "discriminator": ({"discriminator": OwnDiscriminator(3)}, ConfigError, "discriminator OwnDiscriminator"),
    "no pairs": ({"train_data": OwnPairs(0)}, DataError, "train_data: .* no pairs"),
    "no target": ({"train_data": changed(OwnPairs(5), 3, target=None)}, DataError, r"train_data\[3\]: .*'target'"),
    "another size": (
        {"train_data": changed(OwnPairs(5), 4, input=torch.zeros(3, 36, 30, dtype=torch.uint8))},
        DataError,
        r"train_data\[4\]: input is 30x36, .* 36x36",
    ),
    "target of another size": (
        {"val_data": changed(OwnPairs(2), 1, target=torch.zeros(3, 30, 30, dtype=torch.uint8))},
        DataError,
        r"val_data\[1\]: target is 30x30, .* 36x36",
    ),
    "another type": (
        {"train_data": changed(OwnPairs(5), 1, target=torch.zeros(3, 36, 36))},
        DataError,
        r"train_data\[1\]: target is float32",
    ),
    "doubles": (
        {"train_data": changed(OwnPairs(5), 0, input=torch.zeros(3, 36, 36).double())},
        DataError,
        r"train_data\[0\]: input is float64",
    ),
    "no image": ({"train_data": changed(OwnPairs(5), 0, input="x.png")}, DataError, r"train_data\[0\]: input is a str"),
    "no channels": (
        {"train_data": changed(OwnPairs(5), 0, input=torch.zeros(36, 36))},
        DataError,
        r"train_data\[0\]: input .*\[36, 36\]",
    ),
    "no objective": ({"objective": Returns(lambda fake: fake.mean())}, ConfigError, "Returns.generator .* Tensor"),
    "no scalar": ({"objective": Returns(Objective)}, ConfigError, r"Returns.generator .*\[1, 3, 32, 32\]"),
    "no gradient": (
        {"objective": Returns(lambda fake: Objective(fake.detach().mean()))},
        ConfigError,
        "Returns.generator .*detach",
    ),
}


@pytest.mark.parametrize("name", BAD_PARTS)
def test_what_does_not_fit_is_refused_before_the_first_step(tmp_path, name):
    parts, error, words = BAD_PARTS[name]
    trainer = own_trainer(tmp_path / "run", **parts)
    with pytest.raises(error, match=words) as caught:
        trainer.fit()
    assert len(str(caught.value).splitlines()) == 1 and trainer.state.step == 0
    assert not list(tmp_path.glob("run/*.pt"))


def test_networks_made_for_other_channels_than_the_data_are_refused(tmp_path):
    grey = OwnPairs(5)
    grey.items = [{key: image[:1] for key, image in item.items()} for item in grey.items]
    trainer = Trainer(own_config(tmp_path / "run"), train_data=grey)
    assert trainer.generator.training
    with pytest.raises(ConfigError, match="formats="):
        trainer.fit()
