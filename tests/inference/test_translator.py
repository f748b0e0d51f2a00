"""Pictures of any size through a generator and back; the weights file as the only file that is needed."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pix2pix import load_generator
from pix2pix.config import config_from_dict
from pix2pix.data.formats.image_format import RGB
from pix2pix.errors import CheckpointError, DataError
from pix2pix.inference.translator import Translator
from pix2pix.models.build import build_generator
from pix2pix.weights import load_generator_file, save_weights, saved_step

CONFIG = config_from_dict(
    {
        "data": {"layout": "synthetic", "image_size": 64},
        "model": {"generator": {"base_channels": 2, "depth": 5}, "discriminator": {"base_channels": 2, "n_layers": 2}},
    },
    "test",
)


class Watch(nn.Module):
    """Returns its input and keeps it."""

    multiple = min_size = 32

    def forward(self, x):
        self.seen = x
        return x


def pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 300), (32, 64), (33, 65), (100, 31)])
def test_an_identity_generator_returns_the_very_pixels(size):
    watch = Watch()
    image = pixels(*size)
    output = Translator(watch, CONFIG, RGB, "cpu")(Image.fromarray(image))
    assert np.array_equal(np.asarray(output), image)
    padded = ((watch.seen[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    assert padded.shape[0] % 32 == padded.shape[1] % 32 == 0
    expected = np.pad(image, [(0, p - s) for p, s in zip(padded.shape, image.shape, strict=True)], mode="reflect")
    assert np.array_equal(padded, expected)


def test_padding_repeats_the_reflection_where_the_picture_is_small():
    watch = Watch()
    ramp = np.repeat(np.array([0, 10, 20], np.uint8)[None, :, None], 3, 2)  # [1, 3, 3]
    Translator(watch, CONFIG, RGB, "cpu").translate(ramp)
    row = ((watch.seen[0, 0, 0] + 1) * 127.5).round().int().tolist()
    assert row[:9] == [0, 10, 20, 10, 0, 10, 20, 10, 0]


def test_resize_gives_the_training_size():
    output = Translator(Watch(), CONFIG, RGB, "cpu", resize=True)(Image.fromarray(pixels(100, 50)))
    assert output.size == (64, 64)
    expected = Image.fromarray(pixels(100, 50)).resize((64, 64), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(output), np.asarray(expected))


def saved(folder, **sections):
    config = config_from_dict(CONFIG.model_dump(mode="json") | sections, "test")
    torch.manual_seed(0)
    generator = build_generator(config)
    save_weights(folder / "gen.pt", "generator", generator, config, RGB, 7, 2)
    return generator


def test_the_file_is_all_that_is_needed(tmp_path):
    generator = saved(tmp_path)
    elsewhere = tmp_path / "a friend's folder"
    elsewhere.mkdir()
    shutil.move(tmp_path / "gen.pt", elsewhere / "w.pt")
    file = load_generator_file(elsewhere / "w.pt")
    assert (file.step, file.epoch, file.config) == (7, 2, CONFIG)
    translator = load_generator(elsewhere / "w.pt", "cpu")
    image = pixels(64, 96)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = ((generator.train(False)(x) + 1) * 127.5).round().byte()[0].permute(1, 2, 0).numpy()
    first, second = translator(Image.fromarray(image)), translator(image)
    assert np.array_equal(np.asarray(first), expected)
    assert np.array_equal(np.asarray(second), expected)  # no dropout, nothing remembered


def test_batch_norm_trained_at_one_is_per_image_and_above_uses_running_statistics(tmp_path):
    for batch, per_image in ((1, True), (2, False)):
        saved(tmp_path, data=CONFIG.model_dump(mode="json")["data"] | {"batch_size": batch})
        generator = load_generator_file(tmp_path / "gen.pt").generator
        assert generator.down["2"].norm.per_image is per_image


@pytest.mark.parametrize("upsample", ["transpose", "bilinear"])
def test_running_statistics_are_folded_into_the_convolutions(tmp_path, upsample):
    sections = CONFIG.model_dump(mode="json")
    sections["data"]["batch_size"], sections["model"]["generator"]["upsample"] = 2, upsample
    saved(tmp_path, **sections)
    generator = load_generator_file(tmp_path / "gen.pt").generator
    for norm in (module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_mean, -0.1, 0.1), nn.init.uniform_(norm.running_var, 0.5, 2)
    save_weights(tmp_path / "gen.pt", "generator", generator, config_from_dict(sections, "test"), RGB, 7, 2)
    translator = load_generator(tmp_path / "gen.pt", "cpu")
    assert not [module for module in translator.generator.modules() if isinstance(module, nn.BatchNorm2d)]
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = generator(x)
        assert torch.allclose(translator.generator(x), expected, rtol=1e-4, atol=1e-6) and expected.std() > 1e-3


def test_wrong_arrays_and_pictures_are_refused():
    translator = Translator(Watch(), CONFIG, RGB, "cpu")
    with pytest.raises(DataError, match=r"uint8 \[H, W, 3\], not float64 \[4, 4, 3\]"):
        translator.translate(np.zeros((4, 4, 3)))
    with pytest.raises(DataError, match=r"not uint8 \[4, 4\]"):
        translator.translate(np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="has uint16 pixels"):
        translator(Image.fromarray(np.zeros((4, 4), np.uint16)))
    with pytest.raises(DataError, match="transparent"):
        translator(Image.new("RGBA", (4, 4)))
    grey = translator(Image.new("L", (4, 4), 100))
    assert (np.asarray(grey) == 100).all()


def test_a_discriminators_file_is_no_generator(tmp_path):
    save_weights(tmp_path / "dis.pt", "discriminator", nn.Conv2d(1, 1, 1), CONFIG, RGB, 1, 1)
    with pytest.raises(CheckpointError, match=r"dis.pt: holds a discriminator, not a generator; give the run's gen.pt"):
        load_generator(tmp_path / "dis.pt")


def test_missing_and_extra_tensors_are_damage(tmp_path):
    saved(tmp_path)
    content = torch.load(tmp_path / "gen.pt", weights_only=True)
    del content["state_dict"]["down.1.conv.weight"]
    torch.save(content, tmp_path / "gen.pt")
    with pytest.raises(CheckpointError, match=r"gen.pt: is damaged, or was written by a newer pix2pix \("):
        load_generator(tmp_path / "gen.pt")


class Affine(nn.Module):
    """A network that the config does not describe."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(x)


def test_the_weights_of_an_own_network_need_an_instance(tmp_path):
    network = Affine()
    save_weights(tmp_path / "gen.pt", "generator", network, CONFIG, RGB, 7, 2, own=True)
    with pytest.raises(CheckpointError, match=r"gen\.pt: .*Affine") as refused:
        load_generator(tmp_path / "gen.pt", "cpu")
    assert refused.value.code == "own-generator"
    translator = load_generator(tmp_path / "gen.pt", "cpu", generator=Affine())
    image = pixels(5, 7)
    assert np.array_equal(translator.translate(image), Translator(network, CONFIG, RGB, "cpu").translate(image))
    with pytest.raises(CheckpointError, match=r"gen\.pt: does not fit"):
        load_generator(tmp_path / "gen.pt", "cpu", generator=nn.Conv2d(3, 3, 3))


def test_the_step_is_read_without_the_numbers_and_damage_is_found_on_loading(tmp_path):
    file = tmp_path / "gen.pt"
    saved(tmp_path)
    data = file.read_bytes()
    number = load_generator_file(file).generator.state_dict()["down.1.conv.weight"].numpy().tobytes()[:64]
    assert data.count(number) == 1
    file.write_bytes(data.replace(number, bytes(64)))
    assert saved_step(file) == 7
    with pytest.raises(CheckpointError):
        load_generator_file(file)
    file.write_bytes(data[:-100])
    assert saved_step(file) is None
    file.unlink()
    assert saved_step(file) is None
