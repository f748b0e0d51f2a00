"""Our networks and our training step against what the tutorial and junyanz's program computed (tests/fixtures)."""

import json
from pathlib import Path

import numpy as np
import pytest
import reference_keys as keys
import torch

from pix2pix.config import config_from_dict
from pix2pix.data.formats.image_format import RGB
from pix2pix.models import PatchGAN, PixelDiscriminator, ResNet, UNet, inference, parameter_count, set_per_image_norm
from pix2pix.training.trainer import Trainer

FIXTURES = Path(__file__).parents[1] / "fixtures"
TUTORIAL_UNET = {
    "norm": "instance",
    "skip": "after-activation",
    "up_slope": 0.01,
    "dropout_down": [4, 5, 6, 7, 8],
    "dropout_up": [8, 7, 6, 5],
    "bias": False,
}
TUTORIAL_PATCHGAN = {"kernel_size": 3, "n_layers": 4, "stride1_layer": False, "norm": "instance"}


def read(name: str) -> dict[str, torch.Tensor]:
    return torch.load(FIXTURES / name, weights_only=True)


def without_instance_statistics(state):
    """Old files carry statistics of non-affine instance norms, which have none."""
    return {k: v for k, v in state.items() if "running_" not in k and "num_batches" not in k}


def pictures(stem: str, dtype=torch.float64):
    arrays = np.load(FIXTURES / f"{stem}_io.npz")
    x, y = (torch.from_numpy(arrays[k]).to(dtype) / 127.5 - 1 for k in ("input_u8", "target_u8"))
    return arrays, x, y


def every_third(output: torch.Tensor) -> np.ndarray:
    return output[:, :, ::3, ::3].numpy()


def networks(stem: str):
    """(generator, discriminator) with a fixture's weights, in our classes."""
    if stem == "tutorial":
        generator = UNet(base_channels=2, **TUTORIAL_UNET)
        discriminator = PatchGAN(base_channels=2, **TUTORIAL_PATCHGAN)
        states = keys.tutorial_generator(read("tutorial_gen.pt")), keys.tutorial_discriminator(read("tutorial_dis.pt"))
    else:
        options = json.loads((FIXTURES / f"{stem}.json").read_text())
        norm, width = options["norm"], options["ngf"]
        g, d = read(f"{stem}_net_G.pth"), read(f"{stem}_net_D.pth")
        if norm == "instance":
            g, d = without_instance_statistics(g), without_instance_statistics(d)
        if options["netG"].startswith("unet"):
            depth = {"unet_128": 7, "unet_256": 8}[options["netG"]]
            generator, g = UNet(depth=depth, base_channels=width, norm=norm), keys.junyanz_unet(g, depth)
        else:
            generator, g = ResNet(blocks=9, base_channels=width, norm=norm), keys.junyanz_resnet(g, 9)
        if options["netD"] == "pixel":
            discriminator, d = PixelDiscriminator(base_channels=options["ndf"], norm=norm), keys.junyanz_pixel(d)
        else:
            discriminator, d = PatchGAN(base_channels=options["ndf"], norm=norm), keys.junyanz_patchgan(d)
        states = g, d
    generator.load_state_dict(states[0])
    discriminator.load_state_dict(states[1])
    return generator.eval(), discriminator.eval()


STEMS = ["tutorial", "junyanz_unet256", "junyanz_unet256_instance", "junyanz_unet128_pixel", "junyanz_resnet9"]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("stem", STEMS)
@torch.no_grad()
def test_outputs_and_patch_maps(stem, dtype, tolerance):
    arrays, x, _ = pictures(stem, dtype)
    generator, discriminator = (network.to(dtype) for network in networks(stem))
    output = generator(x[:1])
    np.testing.assert_allclose(every_third(output), arrays["output_every_3rd"], rtol=0, atol=tolerance)
    patch = discriminator(x[:1], output)
    patch = patch.sigmoid() if stem == "tutorial" else patch
    np.testing.assert_allclose(patch.numpy(), arrays["patch"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("stem", STEMS[1:])
def test_per_image_norm_is_that_programs_default_test_time(stem):
    """Our inference is what its test.py computes (training mode, batch 1) without its dropout, in a batch too."""
    arrays, x, _ = pictures(stem)
    generator = set_per_image_norm(networks(stem)[0].double(), True)
    with inference(generator.train()) as network:
        in_lockstep = network(x)
        alone = network(x[:1])
    assert generator.training  # the mode is put back
    np.testing.assert_allclose(every_third(alone), arrays["output_batch_statistics_every_3rd"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(in_lockstep[:1].numpy(), alone.numpy(), rtol=0, atol=1e-12)


def trace_config(trace: str, kind: str) -> dict:
    common = {"data": {"root": "unused", "batch_size": 2}, "run": {"device": "cpu"}} | {
        "optimizer": {"lr": 2e-4, "betas": [0.5, 0.999]}
    }
    if trace == "tutorial":
        loss, condition = kind.split("/generator_condition=")
        return common | {
            "model": {
                "generator": {"base_channels": 2, **TUTORIAL_UNET, "dropout": 0.0},
                "discriminator": {"base_channels": 2, **TUTORIAL_PATCHGAN},
            },
            "loss": {"adversarial": f"{loss}_sigmoid", "generator_condition": condition},
            "schedule": {"update_order": "generator-first"},
        }
    norm = "instance" if trace.endswith("instance") else "batch"
    return common | {
        "model": {
            "generator": {"base_channels": 2, "norm": norm, "dropout": 0.0},
            "discriminator": {"base_channels": 2, "norm": norm},
        },
        "loss": {"adversarial": {"vanilla": "bce", "lsgan": "mse"}[kind]},
        "schedule": {"update_order": "discriminator-first"},
    }


TRACES = [
    (trace, kind)
    for trace in ("tutorial", "junyanz_unet256", "junyanz_unet256_instance")
    for kind in json.loads((FIXTURES / f"{trace}_trace.json").read_text())
]


@pytest.mark.parametrize(("trace", "kind"), TRACES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_training_traces(trace, kind, dtype):
    """Ten steps of the real training step on the fixture's batch: every loss of every step."""
    expected = json.loads((FIXTURES / f"{trace}_trace.json").read_text())[kind]
    trainer = Trainer(config_from_dict(trace_config(trace, kind), "trace"), formats=RGB)
    generator, discriminator = networks(trace)
    trainer.generator.load_state_dict(generator.state_dict())
    trainer.discriminator.load_state_dict(discriminator.state_dict())
    trainer.generator.to(dtype), trainer.discriminator.to(dtype)
    _, x, y = pictures(trace, dtype)
    steps, tolerance = (10, 1e-6) if dtype == torch.float64 else (3, 1e-5)
    assert len(expected) == 10
    for step in range(steps):
        report = trainer.train_step(x, y)
        ours = {name.replace("_", "/"): value for name, value in expected[step].items()}
        for name, value in ours.items():
            assert report[name].item() == pytest.approx(value, rel=tolerance, abs=0), (step, name)
        assert report["g/loss"].item() == pytest.approx(ours["g/gan"] + 100 * ours["g/l1"], rel=tolerance)
        assert report["d/loss"].item() == pytest.approx((ours["d/real"] + ours["d/fake"]) / 2, rel=tolerance)


def test_all_eight_traces_are_tested():
    assert len(TRACES) == 8


def test_tutorial_keys_and_counts():
    """Every tensor of the full-width tutorial networks has its place and shape in ours."""
    shapes = json.loads((FIXTURES / "tutorial_keys.json").read_text())
    generator, discriminator = UNet(**TUTORIAL_UNET), PatchGAN(**TUTORIAL_PATCHGAN)
    for ours, theirs, mapping in (
        (generator, shapes["generator"], keys.tutorial_generator),
        (discriminator, shapes["discriminator"], keys.tutorial_discriminator),
    ):
        mapped = mapping({name: torch.empty(shape, device="meta") for name, shape in theirs.items()})
        assert {k: v.shape for k, v in mapped.items()} == {k: v.shape for k, v in ours.state_dict().items()}
    assert parameter_count(generator) == 54_404_099
    assert parameter_count(discriminator) == 1_557_313


def test_paper_counts():
    assert parameter_count(UNet()) == 54_413_955
    assert parameter_count(UNet(depth=7)) == 41_828_995
    assert parameter_count(ResNet()) == 11_383_427
    assert parameter_count(PatchGAN()) == 2_768_705
