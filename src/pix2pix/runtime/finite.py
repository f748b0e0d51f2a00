"""Skip non-finite updates on the device, without a host sync."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class FiniteGuard:
    """A flag on the device that the first non-finite loss or gradient sets permanently.

    `check` returns the flag, with which an optimizer skips its update (`Adam.step`), as with the `found_inf` of a
    gradient scaler. Only `first`, which returns the step and the names of the values, waits for the device.
    """

    def __init__(self, device: torch.device):
        self._found = torch.zeros((), device=device)  # a float, as fused optimizers require
        self._first: dict[tuple[str, ...], Tensor] = {}  # names to the step at which each was first non-finite, or 0

    @torch.no_grad()
    def check(self, name: str, terms: dict[str, Tensor], network: nn.Module, step: int | Tensor) -> Tensor:
        """Return a float scalar, 1 if one of `terms`, scalars, or of the network's gradients is or was non-finite.

        `name` is the name of the network in messages, where its gradients are called `<name>/gradient`. All tensors
        of the guard are changed in place, so that a captured graph may do it.
        """
        values = torch.stack([*terms.values(), _gradient_sum(p.grad for p in network.parameters())])
        bad = values.isfinite().logical_not_()
        names = (*terms, f"{name}/gradient")
        if names not in self._first:
            self._first[names] = torch.zeros_like(bad, dtype=torch.long)
        self._first[names] += bad * step * (self._found == 0)
        torch.maximum(self._found, bad.any(), out=self._found)
        return self._found

    def tensors(self) -> list[Tensor]:
        """Return the tensors that `check` changes; all are 0 until a value is non-finite."""
        return [self._found, *self._first.values()]

    def first(self) -> tuple[int, list[str]] | None:
        """Return the first step (from 1) with non-finite values, and their names; None if there was none."""
        if not self._found:
            return None
        occurrences = [pair for names, steps in self._first.items() for pair in zip(steps.tolist(), names, strict=True)]
        step = min(occurred for occurred, _ in occurrences if occurred)
        return step, [name for occurred, name in occurrences if occurred == step]


def _gradient_sum(gradients: Iterable[Tensor | None]) -> Tensor:
    """Return the sum of all elements, which is non-finite if one of them is.

    A sum is the fastest exact check: it reads each gradient once. Finite gradients whose sum overflows are treated as
    non-finite; training has diverged by then.
    """
    return torch.stack([gradient.sum(dtype=torch.float32) for gradient in gradients if gradient is not None]).sum()


def all_finite(network: nn.Module) -> bool:
    """Return whether every weight and buffer of a network is finite."""
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())
