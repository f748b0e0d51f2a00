"""Adam as in torch.optim, without the import of the compiler."""

import inspect
from typing import TYPE_CHECKING

import torch
from torch import optim

if TYPE_CHECKING:
    Adam = optim.Adam
else:

    class Adam(optim.Adam):
        """`torch.optim.Adam` for eager mode.

        The wrappers around these methods import `torch._dynamo` at the first call, which takes as long as importing
        torch itself, only to tell `torch.compile` to leave the methods alone.
        """

        add_param_group = inspect.unwrap(optim.Adam.add_param_group)
        load_state_dict = inspect.unwrap(optim.Adam.load_state_dict)
        state_dict = inspect.unwrap(optim.Adam.state_dict)
        zero_grad = inspect.unwrap(optim.Adam.zero_grad)
        step = torch.no_grad()(inspect.unwrap(optim.Adam.step))
