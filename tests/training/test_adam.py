"""Our Adam against that of torch.optim."""

import pytest
import torch

from pix2pix.training.adam import Adam


def trained(optimizer_class, steps: int, state: dict | None = None, **options) -> tuple[torch.nn.Module, dict]:
    """A layer after updates from random gradients, and the optimizer's state; with `state`, they go on from there."""
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.rand(p.shape, generator=generator))
    optimizer = optimizer_class(layer.parameters(), lr=0.1, betas=(0.5, 0.999), **options)
    if state is not None:
        optimizer.load_state_dict(state)
    for _ in range(steps):
        optimizer.zero_grad()
        assert all(p.grad is None for p in layer.parameters())
        for p in layer.parameters():
            p.grad = torch.rand(p.shape, generator=generator)
        optimizer.step()
    assert all(p.is_leaf and p.requires_grad for p in layer.parameters())
    return layer, optimizer.state_dict()


@pytest.mark.parametrize("fused", [None, True])
def test_weights_and_state_are_those_of_torch(fused):
    torch_layer, torch_state = trained(torch.optim.Adam, 3, fused=fused)
    layer, state = trained(Adam, 3, fused=fused)
    assert torch.equal(layer.weight, torch_layer.weight) and torch.equal(layer.bias, torch_layer.bias)
    assert state["param_groups"] == torch_state["param_groups"]
    for index in (0, 1):
        assert all(torch.equal(value, torch_state["state"][index][key]) for key, value in state["state"][index].items())
    again, torchs_again = trained(Adam, 2, torch_state, fused=fused), trained(torch.optim.Adam, 2, state, fused=fused)
    assert torch.equal(again[0].weight, torchs_again[0].weight) and again[1]["state"][0]["step"] == 5
