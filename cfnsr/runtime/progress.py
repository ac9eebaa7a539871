"""Progress bars on stderr for work that takes more than a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

T = TypeVar("T")


@contextmanager
def bar(name: str) -> Iterator[Callable[[int], None]]:
    """Show a bar; yield ``advance(total)``, to be called after each of ``total`` items."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=None)

        def advance(total: int) -> None:
            progress.update(task, total=total, advance=1)

        yield advance


@contextmanager
def transfer(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar in bytes, with rate and time left; yield ``moved(done, total)``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=None)

        def moved(done: int, total: int) -> None:
            if progress.tasks[0].total is None:
                progress.reset(task, total=total, completed=done)  # bytes of an earlier run are no part of the rate
            progress.update(task, completed=done)

        yield moved


def each(items: Iterable[T], total: int, advance: Callable[[int], None]) -> Iterator[T]:
    """Yield the items; advance the bar after each."""
    for item in items:
        yield item
        advance(total)
