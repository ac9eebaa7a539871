"""A progress bar on stderr for work that takes longer than a breath."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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


def each(pieces: Iterable[T], total: int, advance: Callable[[int], None]) -> Iterator[T]:
    """The pieces, the bar moved by one at each."""
    for piece in pieces:
        yield piece
        advance(total)
