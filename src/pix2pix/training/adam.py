"""Adam (Kingma & Ba 2015) as one fused call."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Adam:
    """Updates all parameters of a network in one fused call, and can skip an update without waiting for the device.

    `state_dict` has the layout of `torch.optim.Adam`, so checkpoints of either load into the other. `torch.optim` is
    not used because it imports torch's compiler, which takes a second, and loops over the parameters in Python.
    `capturable` makes the learning rate a tensor on the parameters' device, as CUDA graphs need.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, betas: tuple[float, float], capturable: bool = False
    ) -> None:
        params = list(parameters)
        self.capturable = capturable
        rate = torch.tensor(lr, device=params[0].device) if capturable else lr
        self.param_groups: list[dict[str, Any]] = [{"params": params, "lr": rate, "betas": betas, "eps": 1e-8}]
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Drop all gradients, so that the next backward pass stores its own instead of adding to them."""
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the next updates, including those of a captured graph."""
        group = self.param_groups[0]
        if self.capturable:
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate

    @torch.no_grad()
    def step(self, skip: Tensor) -> None:
        """Update each parameter that has a gradient, unless the float scalar `skip` is 1."""
        on_device = skip.device.type == "cuda"
        if not on_device and skip:  # free on a CPU; the fused kernel of other devices ignores the flag
            return
        group = self.param_groups[0]
        by_type: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = {}
        for parameter in group["params"]:
            if parameter.grad is not None:
                by_type.setdefault(parameter.dtype, []).append((parameter, parameter.grad))
        for pairs in by_type.values():
            states = [self.state.get(parameter) or self._start(parameter) for parameter, _ in pairs]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1 - skip if on_device else 1)
            torch._fused_adam_(
                [parameter for parameter, _ in pairs],
                [gradient for _, gradient in pairs],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=0.0,
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
                found_inf=skip if on_device else None,
            )

    def _start(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
        return state

    def state_dict(self) -> dict[str, Any]:
        """Return the state by parameter number, and the settings, as `torch.optim.Adam` does."""
        group = self.param_groups[0]
        params = group["params"]
        settings = group | {"lr": float(group["lr"]), "weight_decay": 0, "amsgrad": False, "maximize": False}
        return {
            "state": {i: dict(self.state[p]) for i, p in enumerate(params) if p in self.state},
            "param_groups": [settings | {"params": list(range(len(params)))}],
        }

    @torch.no_grad()
    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Load the state and the learning rate in place, as a captured graph needs; the betas stay as they are.

        Raises KeyError, ValueError or RuntimeError where the parameters have other numbers or shapes.
        """
        (group,) = saved["param_groups"]
        params = self.param_groups[0]["params"]
        if len(group["params"]) != len(params):
            raise ValueError(f"the state of {len(group['params'])} parameters, and there are {len(params)}")
        for state in self.state.values():
            for tensor in state.values():
                tensor.zero_()
        for number, values in saved["state"].items():
            state = self.state.get(params[number]) or self._start(params[number])
            for name, tensor in state.items():
                if torch.as_tensor(values[name]).shape != tensor.shape:
                    raise ValueError(f"{name} of parameter {number} has another shape")
                tensor.copy_(torch.as_tensor(values[name]))
        self.set_learning_rate(float(group["lr"]))
