"""Write ``report.md``: the table of results, its notes, and what explains them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cfnsr.errors import printable
from cfnsr.report import notes, published, table
from cfnsr.report.differences import Difference
from cfnsr.report.rows import ResultRow
from cfnsr.report.table import percent

# An underscore within a word is no markup. Git hosts make links of addresses.
_INTERPRETED = re.compile(r"[&<>|`*\[\]\\~]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.")


def write(rows: list[ResultRow], differences: list[Difference], corpus: str, skipped: Mapping[str, str]) -> str:
    """Write the table as a Markdown page.

    Args:
        rows: of the table.
        differences: between the rows.
        corpus: its name.
        skipped: by clip, why it was skipped.
    """
    columns = table.columns_of(rows)
    lines = [f"# {escape(table.title(rows, corpus))}", "", line(column.name for column in columns)]
    lines += [f"|---|{'---:|' * (len(columns) - 1)}", *(line(table.cells_of(row, columns)) for row in rows)]
    for note in notes.footnotes(rows, differences, corpus):
        lines += ["", escape(note)]
    if differences:
        lines += ["", line(["System", "Other system", "Difference", "p", "p (Holm)"]), "|---|---|---:|---:|---:|"]
        lines += [
            line([pair.system, pair.other, percent(pair.difference, "+"), f"{pair.p:.4f}", f"{pair.p_holm:.4f}"])
            for pair in differences
        ]
    if skipped:
        lines += ["", line(["Skipped clip", "Reason"]), "|---|---|"]
        lines += [line([clip, reason]) for clip, reason in skipped.items()]
    if others := published_figures(corpus):
        lines += ["", "## Published figures", "", published.NOTE, "", *others]
    return "\n".join(lines) + "\n"


def published_figures(corpus: str) -> list[str]:
    """Write the table of the figures that others published on a corpus, line by line; empty where none is known."""
    headers, figures = published.figures(corpus)
    marks = ["---:" if header == published.ACCURACY else "---" for header in headers]
    return [line(headers), f"|{'|'.join(marks)}|", *(line(row) for row in figures)] if figures else []


def line(cells: Iterable[str]) -> str:
    """Write a row of a table."""
    return f"| {' | '.join(map(escape, cells))} |"


def escape(text: str) -> str:
    """Replace what Markdown, HTML or a terminal would interpret: the text may come from files."""
    return re.sub(_INTERPRETED, lambda found: f"&#{ord(found[0])};", printable(text))
