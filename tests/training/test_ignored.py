"""Target pixels without a value: in no loss of training, in no score of validation."""

from dataclasses import replace

import pytest
import torch
from runs import make_config, weights_of

from pix2pix import Trainer
from pix2pix.data.augment.apply import prepare, to_float, to_input, to_pixels
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.training.evaluator import mean_l1

FLOATS = ImageFormat(channels=1, dtype="float32", range=(0.0, 10.0), suffix=".tif", nodata=-9999.0)
FORMATS = PairFormat((FLOATS,), FLOATS)


def batch() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Two pairs of 32 pixels, the right half of the second target without a value."""
    x, y = torch.rand(2, 2, 1, 32, 32, generator=torch.Generator().manual_seed(1)).mul(10)
    missing = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    missing[1, :, :, 16:] = True
    parts = {"input": x, "target": y.masked_fill(missing, -9999.0)}
    return {**parts, "flip": torch.zeros(2, dtype=torch.bool)}, missing


def updated(tmp_path, x, y, formats: PairFormat = FORMATS):
    trainer = Trainer(make_config(tmp_path), formats=formats)
    trainer.train_step(x, y)
    return trainer


def test_values_without_meaning_are_neutral_inputs_and_come_back_from_the_network_range():
    values = torch.tensor([0.0, 5.0, 10.0, -9999.0]).reshape(1, 1, 2, 2)
    assert to_input(values, FLOATS).flatten().tolist() == [-1, 0, 1, 0]
    assert to_pixels(to_float(values, FLOATS), FLOATS).equal(values)
    whole = replace(FLOATS, dtype="uint16", range=(0.0, 1023.0), nodata=65535.0)
    values = torch.tensor([0, 1023, 65535]).to(torch.uint16).reshape(1, 1, 1, 3)
    assert to_float(values, whole).isnan().flatten().tolist() == [False, False, True]
    assert to_pixels(to_float(values, whole), whole).equal(values)


def test_ignored_pixels_are_in_neither_loss(tmp_path):
    images, missing = batch()
    x, y = prepare(images, torch.device("cpu"), formats=FORMATS)
    assert y.isnan().equal(missing)
    trainer = updated(tmp_path, x, y)
    seen = []
    real = trainer.objective.generator
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(trainer.objective), "generator", lambda _, d, *xyf: seen.append(xyf) or real(d, *xyf))
        found = trainer.train_step(x, y)
    ((_, target, fake),) = seen
    assert (target[missing] == 0).all() and (fake[missing] == 0).all()
    expected = (fake - y)[~missing].abs().sum() / y.numel()
    torch.testing.assert_close(found["g/l1"], expected)


def test_ignored_pixels_do_not_depend_on_micro_batches(tmp_path):
    x, y = prepare(batch()[0], torch.device("cpu"), formats=FORMATS)
    model = {"generator": {"base_channels": 2, "norm": "instance_affine", "dropout_up": []}}
    found = []
    for steps in (1, 2):
        config = make_config(tmp_path, optimizer={"accumulation_steps": steps}, model=model)
        found.append(Trainer(config, formats=FORMATS).train_step(x, y))
    torch.testing.assert_close(*found)


def test_a_target_without_ignored_pixels_trains_to_the_same_bits_as_a_format_without_them(tmp_path):
    images, _ = batch()
    images["target"] = images["target"].clamp(min=0)
    plain = replace(FLOATS, nodata=None)
    trainers = []
    for formats in (FORMATS, PairFormat((plain,), plain)):
        x, y = prepare(images, torch.device("cpu"), formats=formats)
        trainers.append(updated(tmp_path, x, y, formats))
    first, second = map(weights_of, trainers)
    assert all(torch.equal(value, second[name]) for name, value in first.items() if isinstance(value, torch.Tensor))


def test_validation_counts_the_pixels_that_have_a_value():
    images, missing = batch()

    class Pairs:
        formats = FORMATS

        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index == 2:  # nothing is known about it
                return {"input": images["input"][0], "target": torch.full((1, 32, 32), -9999.0)}
            return {key: images[key][index] for key in ("input", "target")}

    target = (images["target"] / 5 - 1).masked_fill(missing, torch.nan)
    expected = torch.stack([target[n].abs().nanmean() for n in (0, 1)]).mean()
    assert mean_l1(torch.zeros_like, Pairs()) == pytest.approx(expected.item(), rel=1e-5)
