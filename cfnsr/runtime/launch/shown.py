"""How the cells fare, as a table that lives on a terminal, or as a line a step."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cfnsr.runtime.launch import LOGS, Outcome

_TAIL_BYTES, _WIDTH = 1024, 80


class Shown:
    """What runs, how far it is, and how much is left; to be used in a ``with``.

    Args:
        console: where to.
        root: the repository's.
        total: how many cells there are.
    """

    def __init__(self, console: Console, root: Path, total: int) -> None:
        self._console, self._root, self._total = console, root, total
        self._since: dict[str, float] = {}
        self._done = 0
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Shown:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def submitted(self, name: str) -> None:
        """A cell may run; it does once its log is there."""
        (self._root / LOGS / f"{name}.log").unlink(missing_ok=True)
        self._since[name] = 0.0

    def ended(self, outcome: Outcome) -> None:
        """A cell has ended."""
        self._done += 1
        now = time.monotonic()
        took = now - (self._since.pop(outcome.cell) or now)
        word = "[green]done[/]" if outcome.good else "[red]failed[/]"
        place = f" on {outcome.place}" if outcome.place else ""
        self._say(f"{word} {outcome.cell}{place}, {took:.0f} s ({self._done} of {self._total})")

    def passed_over(self, name: str, because: str) -> None:
        """A cell cannot run."""
        self._done += 1
        self._say(f"[yellow]left[/] {name}: {because} failed ({self._done} of {self._total})")

    def tick(self) -> None:
        """Time goes by."""
        for cell, since in self._since.items():
            if not since and (self._root / LOGS / f"{cell}.log").exists():
                self._since[cell] = time.monotonic()
        if self._live:
            self._live.update(self._table(), refresh=True)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def _table(self) -> Group:
        table = Table(box=None)
        for column in ("Running", "s", "Said"):
            table.add_column(column, justify="right" if column == "s" else "left", no_wrap=True)
        running = {cell: since for cell, since in self._since.items() if since}
        for cell, since in running.items():
            table.add_row(cell, f"{time.monotonic() - since:.0f}", Text(self._said(cell)))
        waiting = len(self._since) - len(running)
        return Group(table, Text(f"{self._done} of {self._total} ended, {waiting} ready to run", style="dim"))

    def _said(self, cell: str) -> str:
        """The last line of a cell's log: an epoch's figures, while it trains."""
        try:
            with (self._root / LOGS / f"{cell}.log").open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return next((line[:_WIDTH] for line in reversed(lines) if line.strip()), "")
