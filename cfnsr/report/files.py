"""Write DVC's metrics, the data of its plots, and the table as CSV and Markdown; read the CSV."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import ConfigDict, TypeAdapter, ValidationError

from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import cross, cross_table, markdown
from cfnsr.report.cross import CrossRow
from cfnsr.report.differences import Difference
from cfnsr.report.results import Results, read_table
from cfnsr.report.rows import ResultRow
from cfnsr.runtime import stored
from cfnsr.runtime.outputs import atomic_file, atomic_folder

# These tables are in git: a clone has them without data.
_AGAIN = f"{stored.AGAIN}; in a clone without data `git checkout metrics`"
Row = TypeVar("Row", ResultRow, Difference, CrossRow)


def write(out: Path, results: Results, manifest: Manifest) -> None:
    """Write all files of the report except its page.

    ``metrics.json`` (DVC's metrics), ``results.csv`` (every figure of every row), ``recall.csv`` (of each emotion),
    ``comparisons.csv`` (which systems differ), ``cross.csv`` (what other corpora trained), ``confusion/`` and
    ``curves/`` (a CSV a row), ``report.md`` (tables).

    Args:
        out: folder to write into.
        results: from ``gather``.
        manifest: of the same data.
    """
    with atomic_file(out / "metrics.json") as partial:
        metrics = _metrics(results.rows) | cross.metric(results.cross)
        partial.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    with atomic_folder(out / "confusion") as confusion, atomic_folder(out / "curves") as curves:
        for name, predictions in results.predictions.items():
            pairs = pd.DataFrame({"actual": predictions["label"], "predicted": predictions["predicted"]})
            pairs.to_csv(confusion / f"{name}.csv", index=False, lineterminator="\n")
        for name, epochs in results.curves.items():
            epochs.to_csv(curves / f"{name}.csv", index=False, lineterminator="\n")
    _write_csv(out / "results.csv", pd.DataFrame([asdict(row) for row in results.rows]))
    for name, row_type, rows in (
        ("comparisons.csv", Difference, results.differences),
        ("cross.csv", CrossRow, results.cross),
    ):
        columns = [field.name for field in fields(row_type)]  # there may be no row
        _write_csv(out / name, pd.DataFrame([asdict(row) for row in rows], columns=columns))
    _write_csv(out / "recall.csv", results.recalls)
    with atomic_file(out / "report.md") as partial:
        text = markdown.write(results.rows, results.differences, manifest.corpus, manifest.skipped)
        text += cross_table.markdown(results.cross, manifest.corpus)
        partial.write_text(text, encoding="utf-8")


def read(out: Path) -> list[ResultRow]:
    """Read the rows of ``results.csv``.

    Raises:
        CfnsrError: the file is missing, empty, or of another version.
    """
    path = out / "results.csv"
    rows = _read_csv(path, ResultRow)
    if not rows:
        raise CfnsrError(path, "has no rows", _AGAIN)
    return rows


def read_differences(out: Path) -> list[Difference]:
    """Read the pairs of ``comparisons.csv``.

    Raises:
        CfnsrError: the file is missing, or of another version.
    """
    return _read_csv(out / "comparisons.csv", Difference)


def read_cross(out: Path) -> list[CrossRow]:
    """Read the rows of ``cross.csv``.

    Raises:
        CfnsrError: the file is missing, or of another version.
    """
    path = out / "cross.csv"
    rows = _read_csv(path, CrossRow)
    unknown = sorted({row.standardise for row in rows} - {*cross_table.WAYS})
    if unknown:
        raise CfnsrError(path, f"is not a table of results (standardise: {unknown[0]})", _AGAIN)
    return rows


def _read_csv(path: Path, row_type: type[Row]) -> list[Row]:
    names = [field.name for field in fields(row_type)]
    # An empty cell is an empty text, or a missing number.
    texts = {field.name for field in fields(row_type) if field.type == "str"}
    table = read_table(path, names, _AGAIN, dtype="str", keep_default_na=False)
    rows = [
        {name: value if value or name in texts else None for name, value in zip(names, values, strict=True)}
        for values in table[names].itertuples(index=False)
    ]
    list_type: Any = list[row_type]
    with stored.reading(path, "a table of results", _AGAIN):
        try:
            return TypeAdapter(list_type, config=ConfigDict(allow_inf_nan=False)).validate_python(rows)
        except ValidationError as error:
            fault = error.errors()[0]
            raise ValueError(f"{fault['loc'][-1]}: {fault['msg']}") from error


def _metrics(rows: list[ResultRow]) -> dict[str, Any]:
    """Choose DVC's metrics: two a system, since more would make `dvc exp show` too wide.

    Figures that are no results have keys of their own: ``optimistic_`` if the test speakers chose the epoch, ``seen_``
    if frozen weights have seen the corpus.

    All are in one file: DVC shortens a column's name to its key only where no other file has the same key.
    """
    metrics: dict[str, Any] = {}
    for name in ("accuracy", "uar"):
        for row in rows:
            key = f"optimistic_{name}" if row.test_selected else f"seen_{name}" if row.seen == "yes" else name
            metrics.setdefault(key, {})[row.name] = round(getattr(row, name), 4)
    return {**metrics, "clips": rows[0].clips, "skipped": rows[0].skipped}


def _write_csv(path: Path, figures: pd.DataFrame) -> None:
    with atomic_file(path) as partial:
        figures.to_csv(partial, index=False, lineterminator="\n")
