"""The jobs that params.yaml lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from cfnsr.data.splits import Trial
from cfnsr.features.cross_record import FOLDER


@dataclass(frozen=True)
class ExpectedOutputs:
    """The jobs of a run.

    Attributes:
        rows: the trials of each row, by protocol and name, in the table's order.
        fused: names of the rows that combine two others, and have no model.
        cross: names of the encoders that are trained on other corpora, without folds.
    """

    rows: dict[tuple[str, str], list[Trial]]
    fused: frozenset[str] = frozenset()
    cross: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        rows: Iterable[tuple[str, str]],
        folds: Iterable[str],
        seeds: Iterable[int],
        fused: Iterable[str] = (),
        cross: Iterable[str] = (),
    ) -> ExpectedOutputs:
        """Expect every row in every fold with every seed.

        Args:
            rows: pairs of protocol and name.
            folds: their names.
            seeds: of training.
            fused, cross: see the attributes.
        """
        runs = list(product(folds, seeds))
        trials = {(protocol, name): [Trial(protocol, fold, seed) for fold, seed in runs] for protocol, name in rows}
        return cls(trials, frozenset(fused), tuple(cross))

    @property
    def jobs(self) -> list[str]:
        """List every job's folder below ``jobs``: ``<protocol>/<name>/<fold>/<seed>``, and those without folds."""
        of_folds = [str(trial.folder(name)) for (_, name), trials in self.rows.items() for trial in trials]
        return [*of_folds, *(f"{FOLDER}/{name}" for name in self.cross)]

    @property
    def models(self) -> list[str]:
        """List every model's folder below ``models``, as ``jobs``."""
        return [
            str(trial.folder(name))
            for (_, name), trials in self.rows.items()
            for trial in trials
            if name not in self.fused
        ]


def label(protocol: str, name: str) -> str:
    """Name a row, in the table and as a file; no system's name contains an at sign."""
    return name if protocol == "held_out" else f"{name}@{protocol}"
