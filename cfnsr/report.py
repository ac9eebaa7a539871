"""Figures of every row -> one small metrics file a system, plot data, and one table."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from cfnsr import table
from cfnsr.atomic import atomic_file, atomic_folder
from cfnsr.errors import CfnsrError
from cfnsr.gate import Gate
from cfnsr.results import Results, existing
from cfnsr.row import Difference, Row


def write(out: Path, results: Results, gate: Gate) -> None:
    """Write ``out``'s files.

    ``systems/<name>.json`` are DVC's metrics, ``results.csv`` holds every row's figures, ``recall.csv`` each class's
    recall, ``comparisons.csv`` whether two systems differ; ``confusion/`` and ``curves/`` hold the plots' data,
    ``report.md`` the tables.

    Args:
        out: where to write.
        results: what ``gather`` found.
        gate: of the same data.
    """
    with (
        atomic_folder(out / "systems") as systems,
        atomic_folder(out / "confusion") as confusion,
        atomic_folder(out / "curves") as curves,
    ):
        for line in results.rows:
            (systems / f"{line.name}.json").write_text(json.dumps(_figures(line), indent=2) + "\n", encoding="utf-8")
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
        page = table.markdown(results.rows, results.differences, gate.corpus, gate.skipped)
        partial.write_text(page, encoding="utf-8")


def read(out: Path) -> list[Row]:
    """The rows that ``write`` left in ``results.csv``.

    Raises:
        CfnsrError: it is missing, or of another version.
    """
    return _read(out / "results.csv", Row)


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


def _figures(line: Row) -> dict[str, float]:
    """Of DVC's metrics two columns a system: more would make `dvc exp show` unreadable; the rest is in results.csv."""
    figures = {"accuracy": line.accuracy, "uar": line.uar}
    return {f"optimistic_{name}" if line.published else name: round(value, 4) for name, value in figures.items()}


def _csv(path: Path, figures: pd.DataFrame) -> None:
    with atomic_file(path) as partial:
        figures.to_csv(partial, index=False, lineterminator="\n")
