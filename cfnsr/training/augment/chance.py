"""Draws on the CPU, handed over on the device: a run on a GPU draws what a run on the CPU does."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Chance:
    """What is drawn for one batch.

    Args:
        generator: on the CPU.
        device: where the draws are wanted.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._generator, self._device = generator, device

    def share(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Uniform from 0 to below 1."""
        return torch.rand(shape, generator=self._generator).to(self._device, non_blocking=True)

    def within(self, largest: float, *shape: int) -> Float[Tensor, "*shape"]:
        """Uniform from ``-largest`` to ``largest``."""
        return (2 * self.share(*shape) - 1) * largest

    def happens(self, probability: float, *shape: int) -> Bool[Tensor, "*shape"]:
        """Whether it does."""
        return self.share(*shape) < probability
