"""Skip non-finite updates on the device, without a host sync."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer


class FiniteGuard:
    """A flag on the device, set for good by the first non-finite loss or gradient.

    From that update on, `apply` changes nothing, like a gradient scaler's `found_inf`. Only `first` waits for the
    device; it returns the step and the names.
    """

    def __init__(self, device: torch.device):
        self._found = torch.zeros((), device=device)  # float, as fused optimizers take it
        self._first: dict[tuple[str, ...], Tensor] = {}  # by names: the step at which each was non-finite, or 0

    def apply(self, optimizer: Optimizer, name: str, terms: dict[str, Tensor], step: int) -> None:
        """Make the optimizer's `step`-th step, unless one of `terms`, scalars, or a gradient is or was non-finite.

        `name` is the network's in messages; its gradients are called `<name>/gradient`.
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
        """Return the first step, from 1, with a non-finite value and the names of those; None where there was none."""
        if not self._found:
            return None
        found = [pair for names, steps in self._first.items() for pair in zip(steps.tolist(), names, strict=True)]
        step = min(at for at, _ in found if at)
        return step, [name for at, name in found if at == step]


def all_finite(network: nn.Module) -> bool:
    """Return whether every weight and buffer of a network is finite."""
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())
