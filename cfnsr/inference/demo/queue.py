"""The queue of jobs: one runs at a time; the others are told how many are before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager


class FullError(Exception):
    """The queue is full."""


class Queue:
    """Jobs in the order in which their recordings arrived.

    Args:
        max_jobs: most jobs at a time, including those that are being uploaded.
    """

    def __init__(self, max_jobs: int) -> None:
        self._max_jobs, self._jobs = max_jobs, 0
        self._waiting: list[object] = []
        self._changed = asyncio.Event()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a job in the context as one of the queue.

        Raises:
            FullError: the queue is full.
        """
        if self._jobs >= self._max_jobs:
            raise FullError
        self._jobs += 1
        try:
            yield
        finally:
            self._jobs -= 1

    async def positions(self, job: object) -> AsyncGenerator[int, None]:
        """Append a job; yield the number of jobs before it whenever that changes, until it is 0."""
        self._waiting.append(job)
        last = 0
        while before := self._waiting.index(job):
            if before != last:
                last = before
                yield before
            await self._changed.wait()

    def leave(self, job: object) -> None:
        """Remove a job, wherever it is in the queue."""
        if job in self._waiting:
            self._waiting.remove(job)
            self._changed.set()
            self._changed = asyncio.Event()
