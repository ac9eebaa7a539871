"""Random numbers drawn on the CPU and moved to the device, so that a GPU run draws what a CPU run does."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Draws:
    """Draw the random numbers of one batch.

    Args:
        generator: source of the numbers, on the CPU.
        device: device that the numbers are moved to.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._generator, self._device = generator, device

    def uniform(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Draw from 0 (included) to 1 (excluded)."""
        return torch.rand(shape, generator=self._generator).to(self._device, non_blocking=True)

    def symmetric(self, limit: float, *shape: int) -> Float[Tensor, "*shape"]:
        """Draw from ``-limit`` to ``limit``."""
        return (2 * self.uniform(*shape) - 1) * limit

    def bernoulli(self, probability: float, *shape: int) -> Bool[Tensor, "*shape"]:
        """Draw true with a probability."""
        return self.uniform(*shape) < probability
