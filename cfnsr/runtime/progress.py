"""A progress bar on stderr for work that takes longer than a breath."""

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
    """Show a bar; yields ``advance(total)``, to be called after each of ``total`` pieces."""
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
    """Show a bar in bytes, with the rate and the time left; yields ``moved(done, total)``."""
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
                progress.reset(task, total=total, completed=done)  # what was there before counts in no rate
            progress.update(task, completed=done)

        yield moved


def each(pieces: Iterable[T], total: int, advance: Callable[[int], None]) -> Iterator[T]:
    """The pieces, the bar moved by one at each."""
    for piece in pieces:
        yield piece
        advance(total)
