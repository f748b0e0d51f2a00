"""What the networks promise beyond the parity fixtures: levels, skips, dropout, sizes, fields of view, beginnings."""

import pytest
import torch

from pix2pix.models import (
    DISCRIMINATORS,
    GENERATORS,
    PatchGAN,
    PixelDiscriminator,
    ResNet,
    UNet,
    inference,
    init_weights,
    set_per_image_norm,
)
from pix2pix.models.layers import needs_bias

SMALL = {"unet": {"depth": 5, "base_channels": 2}, "resnet": {"blocks": 6, "base_channels": 2}}


def picture(channels: int = 3, height: int = 32, width: int = 64, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("upsample", ["transpose", "nearest", "bilinear"])
@pytest.mark.parametrize("norm", ["batch", "instance", "instance_affine", "none"])
@pytest.mark.parametrize("name", GENERATORS)
def test_generators_contract(name, norm, upsample):
    """Any channels, rectangles, range [-1, 1], every parameter used; inference repeats, and takes images one by one."""
    torch.manual_seed(0)
    network = init_weights(GENERATORS[name](4, 2, norm=norm, upsample=upsample, **SMALL[name]), gain=0.3).double()
    x = picture(4, batch=2).double()
    y = network(x)
    assert y.shape == (2, 2, 32, 64)
    assert y.abs().max() <= 1 and y.std() > 1e-3
    y.square().sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
    with inference(network) as still:
        first, second = still(x), still(x)
        alone = torch.cat([still(image[None]) for image in x])
    assert torch.equal(first, second)
    assert torch.allclose(first, alone, atol=1e-9) and not torch.allclose(first[0], first[1], atol=1e-4)
    assert not first.requires_grad
    assert network.training


def test_unet_channels_double_up_to_eight_times():
    network = UNet(depth=6, base_channels=3)
    widths = [level.conv.out_channels for level in network.down.values()]
    assert widths == [3, 6, 12, 24, 24, 24]
    assert list(network.down) == ["1", "2", "3", "4", "5", "6"]
    assert list(network.up) == ["6", "5", "4", "3", "2", "1"]
    assert [level.conv.in_channels for level in network.up.values()] == [24, 48, 48, 24, 12, 6]


@pytest.mark.parametrize("side", ["down", "up"])
@pytest.mark.parametrize("level", [2, 4, 5])
def test_dropout_falls_where_it_is_named(side, level):
    """The named level and no other, with its own probability, in training alone."""
    torch.manual_seed(0)
    network = UNet(depth=5, base_channels=8, norm="none", dropout=0.9, **{f"dropout_{side}": [level]}).train()
    if side == "down":
        network.dropout_up = frozenset()
    seen = []
    original = network._dropout
    network._dropout = lambda x, here: (seen.append(here), original(x, here))[1]
    network(picture())
    order = [f"down{i}" for i in range(1, 6)] + [f"up{i}" for i in range(5, 1, -1)]
    assert [name for name, here in zip(order, seen, strict=True) if here] == [f"{side}{level}"]
    ones = torch.ones(1, 10, 100, 100)
    dropped = original(ones, True)
    assert (dropped != 0).float().mean().item() == pytest.approx(1 - 0.9, abs=0.01)
    assert dropped.max().item() == pytest.approx(10, rel=1e-5)
    assert torch.equal(original(ones, False), ones)
    with inference(network):
        assert torch.equal(original(ones, True), ones)


def test_automatic_dropout_is_the_reference_programs():
    assert UNet(depth=8, base_channels=1).dropout_up == {7, 6, 5}
    assert UNet(depth=7, base_channels=1).dropout_up == {6, 5}
    assert UNet(depth=5, base_channels=1).dropout_up == set()


def test_skips_carry_before_or_after_the_activation():
    """With the decoder's inner part silenced, the output depends on level 1's skip alone, worked out here."""
    torch.manual_seed(0)
    for skip, slope in (("before-activation", 0.0), ("after-activation", 0.2)):
        network = UNet(depth=2, base_channels=2, norm="none", skip=skip)
        torch.nn.init.zeros_(network.up["2"].conv.weight)
        x = picture()
        handed = torch.nn.functional.leaky_relu(network.down["1"].conv(x), slope)
        last = network.up["1"].conv
        padded = torch.cat([handed, torch.zeros_like(handed)], 1)
        assert torch.allclose(network(x), torch.tanh(last(padded)), atol=1e-7)


def test_bias_rule():
    assert [needs_bias(norm, "auto") for norm in ("batch", "instance", "instance_affine", "none")] == [
        False,
        True,
        False,
        False,
    ]
    assert UNet(depth=2, norm="batch").down["2"].conv.bias is None
    assert UNet(depth=2, norm="batch", bias=True).down["2"].conv.bias is not None
    assert UNet(depth=2, norm="instance", bias=False).up["1"].conv.bias is not None  # the last always has one


def field_of_view(discriminator, size: int) -> tuple[int, tuple[int, ...]]:
    """How many pixels wide the area is that one middle logit sees, and the shape of the map."""
    image = torch.rand(1, 3, size, size, requires_grad=True)
    logits = discriminator.eval()(torch.zeros(1, 3, size, size), image)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    return int((image.grad.abs().sum((0, 1, 2)) > 0).sum()), tuple(logits.shape[-2:])


@pytest.mark.parametrize(("n_layers", "sees", "side"), [(1, 16, 126), (2, 34, 62), (3, 70, 30), (4, 142, 14)])
def test_patchgan_sees_what_it_should(n_layers, sees, side):
    torch.manual_seed(0)
    assert field_of_view(PatchGAN(base_channels=2, n_layers=n_layers, norm="none"), 256) == (sees, (side, side))


def test_the_tutorials_patchgan_sees_63_pixels():
    torch.manual_seed(0)
    network = PatchGAN(base_channels=2, kernel_size=3, n_layers=4, stride1_layer=False, norm="none")
    assert field_of_view(network, 256) == (63, (16, 16))


def test_pixel_discriminator_sees_one_pixel():
    torch.manual_seed(0)
    assert field_of_view(PixelDiscriminator(base_channels=2, norm="none"), 16) == (1, (16, 16))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_take_other_channel_counts(name):
    network = DISCRIMINATORS[name](condition_channels=4, image_channels=1, base_channels=2)
    logits = network(picture(4, 64, 64), picture(1, 64, 64))
    assert logits.shape[:2] == (1, 1)
    assert logits.abs().max() > 0


@pytest.mark.parametrize(
    "network", [UNet(depth=4, base_channels=32), ResNet(base_channels=32), PatchGAN(base_channels=32)]
)
def test_initialisation(network):
    torch.manual_seed(0)
    init_weights(network)
    for name, value in network.named_parameters():
        if name.endswith("conv.weight") and value.numel() > 5000:
            assert value.mean().abs() < 1e-3, name
            assert value.std().item() == pytest.approx(0.02, rel=0.05), name
        elif name.endswith("norm.weight"):
            assert value.mean().item() == pytest.approx(1, abs=0.02), name
            assert 0.005 < value.std().item() < 0.04, name
        elif name.endswith("bias"):
            assert value.abs().max() == 0, name


def test_initialisation_can_leave_biases_and_ones():
    network = UNet(depth=3, base_channels=4)
    before = network.up["1"].conv.bias.clone()
    init_weights(network, norm_weights="ones", biases="default")
    assert torch.equal(network.up["1"].conv.bias, before)
    assert (before != 0).any()
    assert (network.down["2"].norm.weight == 1).all()


@pytest.mark.parametrize("weights", ["xavier", "kaiming", "orthogonal"])
def test_other_initialisations_differ_from_normal(weights):
    torch.manual_seed(0)
    value = init_weights(PatchGAN(base_channels=8), weights=weights, gain=1.0).layers["3"].conv.weight
    fan_in, fan_out = 16 * 16, 32 * 16
    expected = {"xavier": (2 / (fan_in + fan_out)) ** 0.5, "kaiming": (2 / fan_in) ** 0.5, "orthogonal": fan_in**-0.5}
    assert value.std().item() == pytest.approx(expected[weights], rel=0.1)


def test_per_image_norm_equals_training_at_batch_one_and_ignores_neighbours():
    torch.manual_seed(0)
    network = set_per_image_norm(init_weights(UNet(depth=5, base_channels=4, dropout=0.0)), True).double()
    x = picture(batch=3).double()
    trained = torch.cat([network.train()(image[None]) for image in x])
    with inference(network):
        assert torch.allclose(network(x), trained, atol=1e-12)
    set_per_image_norm(network, False)
    with inference(network):
        assert not torch.allclose(network(x), trained, atol=1e-3)  # running statistics are another thing
