"""Who is next: one job at a time, the others wait and know how many are before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager


class FullError(Exception):
    """There are as many jobs as may wait."""


class Queue:
    """Jobs in the order in which their recordings arrived.

    Args:
        most: jobs at a time, those that still arrive included.
    """

    def __init__(self, most: int) -> None:
        self._most, self._here = most, 0
        self._line: list[object] = []
        self._moved = asyncio.Event()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold one of the places of the queue.

        Raises:
            FullError: there is none.
        """
        if self._here >= self._most:
            raise FullError
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1

    async def positions(self, job: object) -> AsyncGenerator[int, None]:
        """Stand in line; yield how many are before a job whenever that changes, until it is 0."""
        self._line.append(job)
        known = 0
        while before := self._line.index(job):
            if before != known:
                known = before
                yield before
            await self._moved.wait()

    def leave(self, job: object) -> None:
        """Leave the line, wherever in it the job is."""
        if job in self._line:
            self._line.remove(job)
            self._moved.set()
            self._moved = asyncio.Event()
