"""Threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from threading import Event
from typing import Any

from joblib import Parallel, delayed

from cfnsr.runtime.engines import Item, Result


class Threads:
    """So many threads.

    Not processes: decoding, scaling and the Fourier transform release Python's lock, and a new process would import
    torch for three seconds to work for two.

    Args:
        jobs: items at a time; 0 takes every core.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs or -1

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]:
        """Results in the items' order."""
        over = Event()

        def unless_over(item: Item) -> Any:
            return None if over.is_set() else work(item)

        pool = Parallel(n_jobs=self._jobs, backend="threading", return_as="generator")
        results: Iterator[Any] = iter(pool(delayed(unless_over)(item) for item in items))
        try:
            for result in results:  # noqa: UP028  `yield from` would close the pool in the midst of its work
                yield result
        finally:  # let the other threads come to an end, without starting on another item
            over.set()
            for _ in results:
                pass
