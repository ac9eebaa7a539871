"""Write ``report.md``: the table of results, its notes, and what explains them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cfnsr.report import notes, published, table
from cfnsr.report.rows import Difference, ResultRow
from cfnsr.report.table import percent


def write(rows: list[ResultRow], differences: list[Difference], corpus: str, skipped: Mapping[str, str]) -> str:
    """Write the table as a Markdown page.

    Args:
        rows: of the table.
        differences: between the rows.
        corpus: its name.
        skipped: by clip, why it was skipped.
    """
    columns = table.columns_of(rows)
    lines = [f"# {table.title(rows, corpus)}", "", _line(column.name for column in columns)]
    lines += [f"|---|{'---:|' * (len(columns) - 1)}", *(_line(table.cells_of(row, columns)) for row in rows)]
    for note in notes.footnotes(rows, differences, corpus):
        lines += ["", note]
    if differences:
        lines += ["", _line(["System", "Other system", "Difference", "p", "p (Holm)"]), "|---|---|---:|---:|---:|"]
        lines += [
            _line([pair.system, pair.other, percent(pair.difference, "+"), f"{pair.p:.4f}", f"{pair.p_holm:.4f}"])
            for pair in differences
        ]
    if skipped:
        lines += ["", _line(["Skipped clip", "Reason"]), "|---|---|"]
        lines += [_line([_escape(clip), _escape(reason)]) for clip, reason in skipped.items()]
    if others := published_figures(corpus):
        lines += ["", "## Published figures", "", published.NOTE, "", *others]
    return "\n".join(lines) + "\n"


def published_figures(corpus: str) -> list[str]:
    """Write the table of the figures that others published on a corpus, line by line; empty where none is known."""
    headers, figures = published.figures(corpus)
    marks = ["---:" if header == published.ACCURACY else "---" for header in headers]
    return [_line(headers), f"|{'|'.join(marks)}|", *(_line(row) for row in figures)] if figures else []


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Replace the characters that Markdown or HTML would interpret: the text comes from files."""
    return "".join(f"&#{ord(character)};" if character in "&<>|`*_[]\\~" else character for character in text)
