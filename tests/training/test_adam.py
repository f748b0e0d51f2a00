"""Our Adam against torch's: the same updates, the same checkpoints, and updates that are skipped."""

import copy

import pytest
import torch

from pix2pix.training.adam import Adam


def parameters() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(3, 2, requires_grad=True), torch.randn(4, requires_grad=True)]


def update(params, optimizer, *skip):
    for parameter in params:
        parameter.grad = parameter.detach() ** 2 + 0.1
    optimizer.step(*skip)


NO, YES = torch.tensor(0.0), torch.tensor(1.0)


def test_updates_and_checkpoints_are_those_of_torch():
    ours, theirs = parameters(), parameters()
    adam, reference = Adam(ours, 1e-2, (0.5, 0.999)), torch.optim.Adam(theirs, 1e-2, (0.5, 0.999))
    for _ in range(3):
        update(ours, adam, NO)
        update(theirs, reference)
    groups = reference.state_dict()["param_groups"]
    for first, second in ((adam, reference), (reference, adam)):  # each resumes from the other's checkpoint
        saved = copy.deepcopy(second.state_dict())  # torch's optimizers use the tensors that they load
        first.load_state_dict(saved | {"param_groups": groups})
    update(ours, adam, NO)
    update(theirs, reference)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    assert adam.state_dict()["state"][0]["step"] == 4


def test_a_skipped_update_changes_nothing_and_a_missing_gradient_is_no_update():
    params = parameters()
    adam = Adam(params, 1e-2, (0.5, 0.999))
    update(params, adam, NO)
    before = [value.clone() for value in params]
    update(params, adam, YES)
    assert all(torch.equal(a, b) for a, b in zip(before, params, strict=True))
    params[0].grad = None
    adam.step(NO)
    assert [adam.state[p]["step"].item() for p in params] == [1, 2] and torch.equal(before[0], params[0])


def test_a_state_of_other_shapes_is_refused():
    params = parameters()
    adam = Adam(params, 1e-2, (0.5, 0.999))
    update(params, adam, NO)
    with pytest.raises(ValueError, match="another shape"):
        Adam(params[::-1], 1e-2, (0.5, 0.999)).load_state_dict(adam.state_dict())
    with pytest.raises(ValueError, match="of 2 parameters"):
        Adam(params[:1], 1e-2, (0.5, 0.999)).load_state_dict(adam.state_dict())
