"""The page's tables: texts to read, and numbers to sort by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cfnsr.report import cross_table, table
from cfnsr.report import published as others
from cfnsr.report.cross import CrossRow
from cfnsr.report.differences import Difference
from cfnsr.report.rows import ResultRow


class Header(NamedTuple):
    """The header of a column.

    Attributes:
        name: its text.
        classes: of the column's cells in page.css: ``word``, ``long`` or ``figure``, with ``aside`` (not a result),
            ``more`` (hidden until all columns are asked for).
        meaning: shown when the pointer rests on the header.
    """

    name: str
    classes: str
    meaning: str = ""


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: what it says.
        value: the number that it is sorted by.
        classes: of a row's first cell in page.css: ``seen`` if the row's figures are worth nothing.
    """

    text: str
    value: float | None = None
    classes: str = ""


@dataclass(frozen=True)
class PageTable:
    """The headers, and rows with a cell for each."""

    columns: list[Header]
    rows: list[list[Cell]]


def results(rows: list[ResultRow]) -> PageTable:
    """Make the table of results, with the texts of the terminal and of ``report.md``."""
    columns, headers = table.columns_of(rows), []
    for column in columns:
        classes = ["figure" if headers else "word", *["aside"] * column.aside, *["more"] * (not column.brief)]
        headers.append(Header(column.name, " ".join(classes), column.meaning))
    cells = [[Cell(column.text(row), column.value(row), _classes(row)) for column in columns] for row in rows]
    return PageTable(headers, cells)


def _classes(row: ResultRow) -> str:
    return "seen" if row.seen == "yes" else ""


def comparisons(differences: list[Difference]) -> PageTable:
    """Make the table of all pairs of systems."""
    columns = [
        Header("System", "word"),
        Header("Other system", "word"),
        Header("Difference", "figure", "system minus other system, in points: mean over speakers of the accuracy"),
        Header("p", "figure", "p-value of a permutation test over speakers"),
        Header("p (Holm)", "figure", "p-value corrected for all pairs"),
    ]
    rows = [
        [
            Cell(pair.system),
            Cell(pair.other),
            Cell(table.percent(pair.difference, "+"), pair.difference),
            Cell(f"{pair.p:.4f}", pair.p),
            Cell(f"{pair.p_holm:.4f}", pair.p_holm),
        ]
        for pair in differences
    ]
    return PageTable(columns, rows)


def cross(rows: list[CrossRow]) -> PageTable:
    """Make the table of classifiers that were trained on other corpora."""
    headers = []
    for number, (name, meaning) in enumerate(cross_table.HEADERS):
        headers.append(
            Header(name, ("long" if number else "word") if number < cross_table.WORDS else "figure", meaning)
        )
    cells = [
        [Cell(*pair) for pair in zip(cross_table.cells_of(row), cross_table.values_of(row), strict=True)]
        for row in rows
    ]
    return PageTable(headers, cells)


def published(corpus: str) -> PageTable:
    """Make the table of the figures that others published on a corpus."""
    headers, rows = others.figures(corpus)
    classes = {others.ACCURACY: "figure", "Source": "long", "Validation speakers": "long"}
    columns = [Header(header, classes.get(header, "word")) for header in headers]
    return PageTable(columns, [[Cell(text) for text in row] for row in rows])


def texts(names: Sequence[str], rows: Iterable[Sequence[str]]) -> PageTable:
    """Make a table of texts only."""
    columns = [Header(name, "long" if number else "word") for number, name in enumerate(names)]
    return PageTable(columns, [[Cell(text) for text in row] for row in rows])
