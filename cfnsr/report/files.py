"""Figures of every row -> DVC's metrics, plot data, and one table."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import table
from cfnsr.report.results import Results, existing
from cfnsr.report.rows import Difference, ResultRow
from cfnsr.runtime.outputs import atomic_file, atomic_folder


def write(out: Path, results: Results, manifest: Manifest) -> None:
    """Write ``out``'s files.

    ``metrics.json`` holds DVC's metrics, ``results.csv`` holds every row's figures, ``recall.csv`` each class's
    recall, ``comparisons.csv`` whether two systems differ; ``confusion/`` and ``curves/`` hold the plots' data,
    ``report.md`` the tables.

    Args:
        out: where to write.
        results: what ``gather`` found.
        manifest: of the same data.
    """
    with atomic_file(out / "metrics.json") as partial:
        partial.write_text(json.dumps(_figures(results.rows), indent=2) + "\n", encoding="utf-8")
    with atomic_folder(out / "confusion") as confusion, atomic_folder(out / "curves") as curves:
        for line in results.rows:
            chosen = results.predicted[line.name]
            pairs = pd.DataFrame({"actual": chosen["label"], "predicted": chosen["predicted"]})
            pairs.to_csv(confusion / f"{line.name}.csv", index=False, lineterminator="\n")
        for name, drawn in results.curves.items():
            drawn.to_csv(curves / f"{name}.csv", index=False, lineterminator="\n")
    _csv(out / "results.csv", pd.DataFrame([asdict(line) for line in results.rows]))
    compared = [asdict(one) for one in results.differences]
    _csv(out / "comparisons.csv", pd.DataFrame(compared, columns=[one.name for one in fields(Difference)]))
    _csv(out / "recall.csv", results.recalls)
    with atomic_file(out / "report.md") as partial:
        page = table.markdown(results.rows, results.differences, manifest.corpus, manifest.skipped)
        partial.write_text(page, encoding="utf-8")


def read(out: Path) -> list[ResultRow]:
    """The rows that ``write`` left in ``results.csv``.

    Raises:
        CfnsrError: it is missing, or of another version.
    """
    return _read(out / "results.csv", ResultRow)


def read_differences(out: Path) -> list[Difference]:
    """What ``write`` left in ``comparisons.csv``.

    Raises:
        CfnsrError: it is missing, or of another version.
    """
    return _read(out / "comparisons.csv", Difference)


def _read(path: Path, kind: Any) -> list[Any]:
    try:
        # An empty cell is an empty text, or a number that is not there.
        texts = [one.name for one in fields(kind) if one.type == "str"]
        numbers = {one.name: [""] for one in fields(kind) if one.name not in texts}
        figures = pd.read_csv(
            existing(path), dtype=dict.fromkeys(texts, "str"), na_values=numbers, keep_default_na=False
        )
        return [
            kind(**{name: None if pd.isna(value) else value for name, value in values.items()})
            for values in figures.to_dict("records")
        ]
    except (ValueError, TypeError) as error:
        raise CfnsrError(path, f"is not a table of results ({error})", "Run `dvc repro -f report`") from error


def _figures(lines: list[ResultRow]) -> dict[str, Any]:
    """Of DVC's metrics two columns a system: more would make `dvc exp show` unreadable; the rest is in results.csv.

    All stand in one file: DVC shortens a column's name to the key only where no other file has the same.
    """
    figures: dict[str, Any] = {}
    for name in ("accuracy", "uar"):
        for line in lines:
            key = f"optimistic_{name}" if line.published else name
            figures.setdefault(key, {})[line.name] = round(getattr(line, name), 4)
    return {**figures, "clips": lines[0].clips, "skipped": lines[0].skipped}


def _csv(path: Path, figures: pd.DataFrame) -> None:
    with atomic_file(path) as partial:
        figures.to_csv(partial, index=False, lineterminator="\n")
