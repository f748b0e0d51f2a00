"""Check the networks and the objective that a user gives, before they are trained."""

import torch
from torch import Tensor, nn

from pix2pix.errors import ConfigError
from pix2pix.models import inference
from pix2pix.objective import Discriminator, Objective, ObjectivePair


def try_network(network: nn.Module, role: str, *images: Tensor) -> Tensor:
    """Return a network's output in inference mode. Raises ConfigError where it does not take the images."""
    shapes = " and ".join(str(list(image.shape)) for image in images)
    name = f"the {role} {type(network).__name__}"
    try:
        with inference(network):
            out = network(*images)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{name} does not take {shapes}: {reason}") from None
    if not isinstance(out, Tensor):
        raise ConfigError(f"{name} returns a {type(out).__name__}; return a tensor")
    return out


def try_objective(objective: ObjectivePair, discriminator: Discriminator, x: Tensor, y: Tensor) -> None:
    """Call both methods of an objective, with a fake of zeros. Raises ConfigError for unusable results."""
    fake = torch.zeros_like(y)
    _require_objective(objective.discriminator(discriminator, x, y, fake), objective, "discriminator")
    _require_objective(objective.generator(discriminator, x, y, fake.requires_grad_()), objective, "generator")


def _require_objective(result: object, objective: ObjectivePair, role: str) -> None:
    """Check the result of an objective's method for a role, "generator" or "discriminator".

    Raises ConfigError unless it is an Objective of scalars whose loss can be backpropagated.
    """
    method = f"{type(objective).__name__}.{role}"
    if not isinstance(result, Objective):
        raise ConfigError(
            f"{method} returned a {type(result).__name__}; return a pix2pix.objective.Objective(loss, terms)"
        )
    for name, value in {"loss": result.loss, **result.terms}.items():
        if not isinstance(value, Tensor) or value.ndim:
            shown = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise ConfigError(f"{method} returned {shown} as {name!r}; return a scalar tensor, such as a mean")
    if not result.loss.requires_grad:
        raise ConfigError(f"{method} returned a loss that does not depend on the {role}; do not detach it")
