"""Adam that starts at once."""

from __future__ import annotations

import inspect

import torch


class Adam(torch.optim.Adam):
    """``torch.optim.Adam``, step for step, without loading torch's compiler.

    torch wraps these methods so that ``torch.compile`` can see through them, and the first call of one imports the
    compiler for that: three and a half seconds in every training cell, for cells that compile nothing. Here the methods
    are those inside the wrappers. ``tests/test_train.py`` holds both Adams to the same weights.
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
