"""Show the progress of the jobs: a line for each that ends, and on a terminal those that run."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cfnsr.runtime.launch import Outcome
from cfnsr.runtime.launch.repro import log_file

_TAIL_BYTES, _WIDTH = 1024, 80
_LONG_S = 100  # from here on in minutes
_DIGITS = re.compile(r"\d+")


class JobTable:
    """Show the running jobs with the last line of their logs, the number of jobs left and their time.

    Use it in a ``with``.

    Args:
        console: to print on.
        root: of the repository.
        jobs: that are to run.
        seconds: the wall time of the last run of a job, by job, where known.
    """

    def __init__(self, console: Console, root: Path, jobs: Collection[str], seconds: Mapping[str, float]) -> None:
        self._console, self._root, self._total = console, root, len(jobs)
        self._left, self._seconds = set(jobs), dict(seconds)
        self._started: dict[str, float | None] = {}  # by job, when it began to run; None while a cluster queues it
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> JobTable:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def started(self, job: str) -> None:
        """Add a job that was started; it is shown as running once it has a log."""
        log_file(job, self._root).unlink(missing_ok=True)
        self._started[job] = None

    def ended(self, outcome: Outcome) -> None:
        """Print that a job has ended."""
        self._left.discard(outcome.job)
        now = time.monotonic()
        seconds = now - (self._started.pop(outcome.job) or now)
        if outcome.done:
            self._seconds[outcome.job] = seconds
        word = ("done", "green") if outcome.done else ("failed", "red")
        machine = f" on {outcome.machine}" if outcome.machine else ""
        self._print(word, f" {outcome.job}{machine}, {seconds:.0f} s ({self._progress()})")

    def skipped(self, job: str, failed: str) -> None:
        """Print that a job cannot run because another failed."""
        self._left.discard(job)
        self._print(("skipped", "yellow"), f" {job}: {failed} failed ({self._progress()})")

    def refresh(self) -> None:
        """Redraw the table."""
        for job, since in self._started.items():
            if since is None and log_file(job, self._root).exists():
                self._started[job] = time.monotonic()
        if self._live:
            self._live.update(self._table(), refresh=True)

    def _print(self, *texts: str | tuple[str, str]) -> None:
        self._console.print(Text.assemble(*texts), highlight=False)

    def _table(self) -> Group:
        table = Table(box=None)
        for column in ("Running", "s", "Last line of its log"):
            table.add_column(column, justify="right" if column == "s" else "left", no_wrap=True)
        running = {job: since for job, since in self._started.items() if since is not None}
        for job, since in running.items():
            table.add_row(job, f"{time.monotonic() - since:.0f}", Text(self._last_line(job)))
        queued = len(self._started) - len(running)
        return Group(table, Text(f"{self._progress()}, {queued} queued", style="dim"))

    def _progress(self) -> str:
        """Say how many jobs have ended, and how long the others may take."""
        expected = list(self._expected())
        left_s = sum(filter(None, expected)) / max(1, len(self._started))
        about = "more than" if None in expected else "about"
        left = f"{left_s / 60:.0f} min" if left_s >= _LONG_S else f"{left_s:.0f} s"
        text = f"{self._total - len(self._left)} of {self._total}"
        return f"{text}, {about} {left} left" if left_s >= 1 else text

    def _expected(self) -> Iterator[float | None]:
        """Yield the time left of each job in seconds, by its last run or those of jobs that differ in numbers only."""
        alike: dict[str, list[float]] = {}
        for job, seconds in self._seconds.items():
            alike.setdefault(_DIGITS.sub("", job), []).append(seconds)
        now = time.monotonic()
        for job in self._left:
            known = [self._seconds[job]] if job in self._seconds else alike.get(_DIGITS.sub("", job))
            yield max(0, fmean(known) - (now - (self._started.get(job) or now))) if known else None

    def _last_line(self, job: str) -> str:
        """Read the last line of a job's log, for instance the results of an epoch."""
        try:
            with log_file(job, self._root).open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return next((line[:_WIDTH] for line in reversed(lines) if line.strip()), "")
