"""The page's tables: texts to read, and values to sort by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cfnsr.report import table
from cfnsr.report.rows import Difference, ResultRow


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its header.
        classes: of its cells in page.css: ``word``, ``long`` or ``figure``, with ``aside`` (no result), ``more``
            (hidden until all columns are asked for).
        meaning: shown when the pointer rests on the header.
    """

    name: str
    classes: str
    meaning: str = ""


@dataclass(frozen=True)
class Cell:
    """A text, and the number that it is sorted by."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class PageTable:
    """Columns, and rows with a cell for each."""

    columns: list[Column]
    rows: list[list[Cell]]


def results(rows: list[ResultRow]) -> PageTable:
    """Make the table of results, with the texts of the terminal and of ``report.md``."""
    columns = []
    for column in table.COLUMNS:
        classes = ["figure" if columns else "word", *["aside"] * column.aside, *["more"] * (not column.brief)]
        columns.append(Column(column.name, " ".join(classes), column.meaning))
    return PageTable(columns, [[Cell(column.text(row), column.value(row)) for column in table.COLUMNS] for row in rows])


def comparisons(differences: list[Difference]) -> PageTable:
    """Make the table of all pairs of systems."""
    columns = [
        Column("System", "word"),
        Column("Other", "word"),
        Column("Difference", "figure", "of the mean accuracies over speakers, in points"),
        Column("p", "figure", "p-value of a permutation test over speakers"),
        Column("p (Holm)", "figure", "corrected for all pairs"),
    ]
    return PageTable(
        columns,
        [
            [
                Cell(pair.system),
                Cell(pair.other),
                Cell(table.percent(pair.difference, "+"), pair.difference),
                Cell(f"{pair.p:.4f}", pair.p),
                Cell(f"{pair.p_holm:.4f}", pair.p_holm),
            ]
            for pair in differences
        ],
    )


def texts(names: Sequence[str], rows: Iterable[Sequence[str]]) -> PageTable:
    """Make a table of texts only."""
    columns = [Column(name, "long" if number else "word") for number, name in enumerate(names)]
    return PageTable(columns, [[Cell(text) for text in row] for row in rows])
