"""Cells of the pipeline side by side: each a `dvc repro --single-item` of its own, here or on a Ray cluster.

DVC runs one stage after another. What follows hands cells that are ready to an engine and tells what became of them;
which have work DVC knows, and who runs where is the engine's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Protocol, runtime_checkable

from cfnsr.runtime.launch.plan import Plan

LOGS = Path("data/logs/launch")


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        cell: its name in dvc.yaml.
        status: DVC's exit status; of a cell whose machine was lost once too often, none.
        place: the machine that ran it.
        why: what is known beside the cell's log.
    """

    cell: str
    status: int | None
    place: str
    why: str = ""

    @property
    def good(self) -> bool:
        """Whether the cell is done."""
        return self.status == 0


@runtime_checkable
class Engine(Protocol):
    """Runs cells side by side."""

    def submit(self, name: str) -> None:
        """Run a cell as soon as there is room."""
        ...

    def finished(self, within_s: float) -> list[Outcome]:
        """The cells that have ended, waiting for one at most so long."""
        ...

    def stop(self) -> None:
        """End what runs, leaving no process and no broken file behind; start no other."""
        ...


@runtime_checkable
class Display(Protocol):
    """Is told how the cells fare."""

    def submitted(self, name: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...

    def passed_over(self, name: str, because: str) -> None: ...

    def tick(self) -> None: ...


@dataclass
class Told:
    """What a launch came to: its failures, and the cells that could not run because of them."""

    failed: list[Outcome] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)


def run_all(plan: Plan, engine: Engine, display: Display, *, every_s: float = 0.5) -> Told:
    """Run the cells of a plan, each once those it needs are done. A failure stops none that does not need it.

    Args:
        plan: the cells and what each waits for.
        engine: runs them.
        display: is told of each step, and in between.
        every_s: how often the display is told that time goes by.
    """
    order = TopologicalSorter(plan.needs)
    order.prepare()
    told, running = Told(), 0
    missing: dict[str, str] = told.waiting  # by cell, the failed one that it waits for
    try:
        while order.is_active():
            for cell in order.get_ready():
                because = next((missing.get(one, one) for one in sorted(plan.needs[cell]) if one in _lost(told)), None)
                if because is None:
                    display.submitted(cell)
                    engine.submit(cell)
                    running += 1
                else:
                    missing[cell] = because
                    display.passed_over(cell, because)
                    order.done(cell)
            for outcome in engine.finished(every_s) if running else ():
                running -= 1
                if not outcome.good:
                    told.failed.append(outcome)
                display.ended(outcome)
                order.done(outcome.cell)
            display.tick()
    finally:
        engine.stop()
    return told


def _lost(told: Told) -> set[str]:
    return {one.cell for one in told.failed} | set(told.waiting)
