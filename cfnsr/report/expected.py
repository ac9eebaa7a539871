"""What a run names: the table's rows, and which files their cells leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cfnsr.data.splits import Trial


@dataclass(frozen=True)
class ExpectedOutputs:
    """The rows of a run.

    Attributes:
        rows: by protocol and name, in the table's order, the trials of each.
    """

    rows: dict[tuple[str, str], list[Trial]]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]], folds: Iterable[str], seeds: Iterable[int]) -> ExpectedOutputs:
        """Every row in every fold, with every seed."""
        folds, seeds = list(folds), list(seeds)
        return cls(
            {
                (protocol, name): [Trial(protocol, fold, seed) for fold in folds for seed in seeds]
                for protocol, name in rows
            }
        )

    def files(self, ending: str) -> list[str]:
        """Below ``cells``, ``predictions``, ``curves`` or ``models``, every trial's file."""
        return [
            str(trial.within(Path(protocol), name, ending))
            for (protocol, name), trials in self.rows.items()
            for trial in trials
        ]
