"""Run jobs of the pipeline in parallel, here or on a cluster: a `dvc repro --single-item` each.

DVC runs one stage at a time. Here a plan lists the stale jobs and those that each needs (``dvc_repository``), a
backend starts jobs and returns their outcomes, and ``run_all`` starts each job once those that it needs are done.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Protocol, runtime_checkable

from cfnsr.errors import CfnsrError
from cfnsr.runtime.dvc_repository import Plan

LOGS = Path("data/logs/launch")
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_POLL_S = 0.1
_STOP_S = 60  # DVC ends when its stage has ended


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        job: its name in dvc.yaml.
        status: DVC's exit status; None if the job's machine was lost.
        machine: name of the machine that ran it.
        problem: an error that is not in the job's log.
    """

    job: str
    status: int | None
    machine: str
    problem: str = ""

    @property
    def done(self) -> bool:
        """Return whether the job succeeded."""
        return self.status == 0


@runtime_checkable
class Backend(Protocol):
    """Starts jobs.

    Attributes:
        slots: the largest number of jobs at a time; None if the backend queues jobs itself.
    """

    slots: int | None

    def start(self, job: str) -> None:
        """Start a job."""
        ...

    def outcome(self, job: str) -> Outcome | None:
        """Return the outcome of a started job; None while it is queued or runs."""
        ...

    def cancel(self, job: str) -> None:
        """Ask a started job to end without leaving a process or an incomplete file. May be called again."""
        ...

    def close(self) -> None:
        """Disconnect from the cluster."""
        ...


@runtime_checkable
class Display(Protocol):
    """Shows the progress of the jobs."""

    def started(self, job: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...

    def skipped(self, job: str, failed: str) -> None: ...

    def refresh(self) -> None: ...


@dataclass
class Summary:
    """The jobs that did not succeed.

    Attributes:
        failed: the jobs that failed.
        skipped: by job that could not run, the failed job that it needs.
    """

    failed: list[Outcome] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def run_all(plan: Plan, backend: Backend, display: Display) -> Summary:
    """Run each job of a plan once those that it needs are done. A failure stops only the jobs that need it.

    Ctrl-C, SIGTERM, SIGHUP (the terminal was closed) or any error cancels the running jobs and waits until they have
    ended.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        CfnsrError: another signal.
    """
    order = TopologicalSorter(plan.needs)
    order.prepare()
    summary, ready = Summary(), list[str]()
    running: set[str] = set()
    with _noting_signals() as signals, ExitStack() as stack:
        stack.callback(backend.close)
        stack.callback(_stop, running, backend)
        while order.is_active():
            if signals:
                raise _ending(signals[0])
            ready += order.get_ready()
            for job in list(ready):
                failed = _failed_need(plan.needs[job], summary)
                if failed is None and backend.slots is not None and len(running) >= backend.slots:
                    continue
                ready.remove(job)
                if failed is None:
                    display.started(job)
                    backend.start(job)
                    running.add(job)
                else:
                    summary.skipped[job] = failed
                    display.skipped(job, failed)
                    order.done(job)
            for outcome in _ended(running, backend):
                if not outcome.done:
                    summary.failed.append(outcome)
                display.ended(outcome)
                order.done(outcome.job)
            display.refresh()
            if running:
                time.sleep(_POLL_S)
    return summary


@contextmanager
def _noting_signals() -> Iterator[list[int]]:
    """Yield a list to which each signal to end is added.

    As an exception it may be lost: Python ignores what is raised in a destructor, of Ray's objects for instance.
    """
    noted: list[int] = []
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup ignores SIGHUP; a shell lets its background jobs ignore Ctrl-C
            signal.signal(number, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending(number: int) -> BaseException:
    """Return what a signal raises."""
    if number == signal.SIGINT:
        return KeyboardInterrupt()
    problem = f"was ended by {signal.Signals(number).name}, and its jobs too"
    return CfnsrError("launch", problem, "Run the same again for the rest")


def _failed_need(needs: set[str], summary: Summary) -> str | None:
    """Return the failed job because of which a job cannot run, if there is one."""
    failed = {outcome.job: outcome.job for outcome in summary.failed} | summary.skipped
    return next((failed[need] for need in sorted(needs) if need in failed), None)


def _ended(running: set[str], backend: Backend) -> list[Outcome]:
    """Remove the jobs that have ended from ``running``; return their outcomes."""
    outcomes = [outcome for job in sorted(running) if (outcome := backend.outcome(job)) is not None]
    running.difference_update(outcome.job for outcome in outcomes)
    return outcomes


def _stop(running: set[str], backend: Backend) -> None:
    """Cancel the running jobs and wait until they have ended."""
    limit = time.monotonic() + _STOP_S
    while running and time.monotonic() < limit:
        for job in running:
            backend.cancel(job)
        time.sleep(_POLL_S)
        _ended(running, backend)
