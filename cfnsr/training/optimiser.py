"""Adam that does not import torch's compiler."""

from __future__ import annotations

import inspect

import torch


class Adam(torch.optim.Adam):
    """Update weights exactly as ``torch.optim.Adam`` does, without importing torch's compiler.

    torch wraps these methods for ``torch.compile``, and the first call of a wrapper imports the compiler: three and a
    half seconds in every job, also in those that compile nothing. Here the methods are those inside the wrappers.
    ``tests/training/test_optimiser.py`` compares the weights of both.
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
