"""Where a step's time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

Item = TypeVar("Item")
Phases = Callable[[str], AbstractContextManager[None]]


def unwatched(phase: str) -> AbstractContextManager[None]:
    """Times nothing."""
    return nullcontext()


class Clock:
    """Adds up the wall time of each phase; on a GPU it waits until the work is done.

    Attributes:
        seconds: by phase, in the order in which they were first entered.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Time what is within; phases do not nest."""
        start = self._now()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + self._now() - start

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def each(items: Iterable[Item], phase: str, watch: Phases) -> Iterator[Item]:
    """The items of an iterable, the time it takes to make them counted as a phase."""
    rest = iter(items)
    while True:
        with watch(phase):
            item = next(rest, None)
        if item is None:
            return
        yield item
