"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def items() -> Progress:
    """Return a progress bar that counts items; use it in a ``with``, and advance it by its ``track``."""
    return _bar(MofNCompleteColumn(), TimeElapsedColumn())


@contextmanager
def transfer(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar in bytes, with rate and time left; yield ``moved(done, total)``."""
    with _bar(DownloadColumn(), TransferSpeedColumn()) as progress:
        task = progress.add_task(name, total=None)

        def moved(done: int, total: int) -> None:
            if progress.tasks[0].total is None:
                progress.reset(task, total=total, completed=done)  # the rate leaves out an earlier run's bytes
            progress.update(task, completed=done)

        yield moved


def _bar(*columns: ProgressColumn) -> Progress:
    text = TextColumn("{task.description}", markup=False)
    return Progress(text, BarColumn(), *columns, TimeRemainingColumn(), console=Console(stderr=True))
