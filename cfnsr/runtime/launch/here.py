"""Cells side by side on this machine."""

from __future__ import annotations

import platform
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from cfnsr.runtime.launch import LOGS, Outcome, cell


class Here:
    """So many at a time, each watched by a thread. GPUs are shared by all: Ray gives each its own.

    Args:
        root: the repository's.
        jobs: cells at a time.
    """

    def __init__(self, root: Path, jobs: int) -> None:
        self._root, self._over = root, threading.Event()
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="cell")
        self._running: dict[Future[int], str] = {}

    def submit(self, name: str) -> None:
        """Run a cell as soon as there is room."""
        log = self._root / LOGS / f"{name}.log"
        self._running[self._pool.submit(cell.run, name, self._root, log, self._over.is_set)] = name

    def finished(self, within_s: float) -> list[Outcome]:
        """The cells that have ended, waiting for one at most so long."""
        done, _ = wait(self._running, within_s, FIRST_COMPLETED)
        return [Outcome(self._running.pop(future), future.result(), platform.node()) for future in done]

    def stop(self) -> None:
        """End what runs; start no other."""
        self._over.set()
        self._pool.shutdown(cancel_futures=True)
