"""Skip non-finite updates on the device, without a host sync."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer


class FiniteGuard:
    """A flag on the device that the first non-finite loss or gradient sets permanently.

    From that update on, `apply` changes nothing, as with the `found_inf` of a gradient scaler. Only `first`, which
    returns the step and the names of the values, waits for the device.
    """

    def __init__(self, device: torch.device):
        self._found = torch.zeros((), device=device)  # a float, as fused optimizers require
        self._first: dict[tuple[str, ...], Tensor] = {}  # names to the step at which each was first non-finite, or 0

    def apply(self, optimizer: Optimizer, name: str, terms: dict[str, Tensor], step: int) -> None:
        """Make the optimizer's `step`-th step, unless one of `terms`, scalars, or a gradient is or was non-finite.

        `name` is the name of the network in messages, where its gradients are called `<name>/gradient`.
        """
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        largest = get_total_norm(gradients, math.inf)
        bad = ~torch.stack([*(term.detach() for term in terms.values()), largest]).isfinite()
        names = (*terms, f"{name}/gradient")
        before = self._first.get(names, torch.zeros_like(bad, dtype=torch.long))
        self._first[names] = torch.where(self._found > 0, before, bad * step)
        self._found = torch.maximum(self._found, bad.any().float())
        if optimizer.defaults["fused"]:
            setattr(optimizer, "found_inf", self._found)  # noqa: B010 - read by fused kernels, not declared by torch
            optimizer.step()
        elif not self._found:
            optimizer.step()

    def first(self) -> tuple[int, list[str]] | None:
        """Return the first step (from 1) with non-finite values, and their names; None if there was none."""
        if not self._found:
            return None
        found = [pair for names, steps in self._first.items() for pair in zip(steps.tolist(), names, strict=True)]
        step = min(at for at, _ in found if at)
        return step, [name for at, name in found if at == step]


def all_finite(network: nn.Module) -> bool:
    """Return whether every weight and buffer of a network is finite."""
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())
