"""Figures that others published on RAVDESS, and how they were measured: as read, not measured here."""

from __future__ import annotations

import csv
from importlib.resources import files

NOTE = (
    "As read, not measured here: accuracy on all eight emotions of RAVDESS, in %. Compare two figures only if their "
    "folds are alike and if validation speakers chose in both. With 24 speakers an interval is some ± 4 points."
)
ACCURACY = "Accuracy"  # the column of figures
_CORPORA = ("ravdess", "ravdess_speech")


def figures(corpus: str) -> tuple[list[str], list[list[str]]]:
    """Read the headers, and the rows, of the figures on a corpus; no row where none is known."""
    text = files("cfnsr.report").joinpath("published.csv").read_text(encoding="utf-8")
    headers, *rows = csv.reader(text.splitlines())
    return headers, rows if corpus in _CORPORA else []
