"""The jobs that params.yaml lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from cfnsr.data.splits import Trial


@dataclass(frozen=True)
class ExpectedOutputs:
    """The jobs of a run.

    Attributes:
        rows: the trials of each row, by protocol and name, in the table's order.
    """

    rows: dict[tuple[str, str], list[Trial]]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]], folds: Iterable[str], seeds: Iterable[int]) -> ExpectedOutputs:
        """Expect every row in every fold with every seed.

        Args:
            rows: pairs of protocol and name.
            folds: their names.
            seeds: of training.
        """
        runs = list(product(folds, seeds))
        return cls({(protocol, name): [Trial(protocol, fold, seed) for fold, seed in runs] for protocol, name in rows})

    @property
    def folders(self) -> list[str]:
        """List every job's folder below ``jobs`` and ``models``: ``<protocol>/<name>/<fold>/<seed>``."""
        return [str(trial.folder(name)) for (_, name), trials in self.rows.items() for trial in trials]


def label(protocol: str, name: str) -> str:
    """Name a row, in the table and as a file; no system's name contains an at sign."""
    return name if protocol == "held_out" else f"{name}@{protocol}"
