"""Convolutions as matrix products: the values and gradients of torch's convolutions."""

import pytest
import torch
from torch import nn

from pix2pix.models import convolution as convolution_module
from pix2pix.models.convolution import Conv2d, ConvTranspose2d

SETTINGS = [
    (Conv2d, nn.Conv2d, {"kernel_size": 4, "stride": 2, "padding": 1}),
    (Conv2d, nn.Conv2d, {"kernel_size": 3, "stride": 1, "padding": 1, "bias": False}),
    (ConvTranspose2d, nn.ConvTranspose2d, {"kernel_size": 4, "stride": 2, "padding": 1}),
    (ConvTranspose2d, nn.ConvTranspose2d, {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}),
]


@pytest.mark.parametrize(("ours", "reference", "options"), SETTINGS)
@pytest.mark.parametrize("shape", [(1, 5, 2, 2), (1, 5, 6, 4), (3, 5, 4, 6)])
def test_values_and_gradients(ours, reference, options, shape, monkeypatch):
    monkeypatch.setattr(convolution_module, "_as_product", lambda *_: True)
    convolution = ours(5, 7, **options).double()
    same = reference(5, 7, **options).double()
    same.load_state_dict(convolution.state_dict())
    results = []
    for network in (convolution, same):
        torch.manual_seed(0)
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        with monkeypatch.context() as patch:
            if network is convolution:  # the base class is what a product replaces
                patch.setattr(reference, "forward", lambda *_: pytest.fail("not a matrix product"))
            y = network(x)
        y.square().sum().backward()
        results.append([y, x.grad, *(parameter.grad for parameter in network.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_inference_convolves(monkeypatch):
    monkeypatch.setattr("torch.nn.functional.unfold", lambda *_: pytest.fail("a matrix product"))
    Conv2d(2, 2, 4, 2, 1).eval()(torch.zeros(1, 2, 2, 2))


@pytest.mark.parametrize(
    ("channels", "shape", "expected"),
    [
        (8, (1, 8, 2, 2), True),  # one pixel
        (8, (1, 8, 4, 4), False),
        (8, (1, 8, 8, 8), True),  # 16
        (8, (1, 8, 18, 16), False),  # 72
        (8, (4, 8, 4, 4), False),  # 16 of several images, with small weights
        (256, (4, 256, 4, 4), True),
    ],
)
def test_where_a_product_pays(channels, shape, expected, monkeypatch):
    products = []
    product = convolution_module._product
    monkeypatch.setattr(convolution_module, "_product", lambda *args: products.append(args) or product(*args))
    network = Conv2d(channels, channels, 4, 2, 1)
    network(torch.zeros(shape))
    assert bool(products) is expected
    network.to(memory_format=torch.channels_last)(torch.zeros(shape))
    assert len(products) == expected
