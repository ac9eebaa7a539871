"""Rows of results -> what the page's tables hold: texts to read, and values to sort by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cfnsr.report import table
from cfnsr.report.rows import Difference, ResultRow


@dataclass(frozen=True)
class Column:
    """A column's name; its kind (``word``, ``long``, ``figure``, ``aside``: no result); what it means."""

    name: str
    kind: str
    told: str = ""


@dataclass(frozen=True)
class Job:
    """A text, and the number it stands for, if it does."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Drawn:
    """A table: its columns, and a cell for each in every row."""

    columns: list[Column]
    rows: list[list[Job]]


def results(rows: list[ResultRow]) -> Drawn:
    """Every row's figures, as the terminal and ``report.md`` show them."""
    columns = [
        Column(column.name, "word" if not at else "aside" if column.aside else "figure", column.told)
        for at, column in enumerate(table.COLUMNS)
    ]
    return Drawn(columns, [[Job(one.text(line), one.value(line)) for one in table.COLUMNS] for line in rows])


def comparisons(differences: list[Difference]) -> Drawn:
    """Every pair of systems."""
    columns = [
        Column("One", "word"),
        Column("Other", "word"),
        Column("Difference", "figure", "of mean accuracies over speakers, in points"),
        Column("p", "figure", "by a permutation test over speakers"),
        Column("p (Holm)", "figure", "corrected for all pairs"),
    ]
    return Drawn(columns, [[Job(*one) for one in _compared(line)] for line in differences])


def _compared(line: Difference) -> Iterable[tuple[str, float | None]]:
    yield line.one, None
    yield line.other, None
    yield table.percent(line.difference, "+"), line.difference
    yield f"{line.p:.4f}", line.p
    yield f"{line.p_holm:.4f}", line.p_holm


def words(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Drawn:
    """Texts alone."""
    columns = [Column(name, "long" if at else "word") for at, name in enumerate(names)]
    return Drawn(columns, [[Job(text) for text in row] for row in rows])
