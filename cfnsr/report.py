"""Cells and predictions -> one small metrics file a system, plot data, and one table."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfnsr import metrics, table
from cfnsr.atomic import atomic_file, atomic_folder
from cfnsr.errors import CfnsrError
from cfnsr.gate import Gate
from cfnsr.table import Row


def row(name: str, cells: list[dict[str, Any]], predictions: pd.DataFrame, gate: Gate, level: float) -> Row:
    """Pool a system's folds into its line.

    Args:
        name: the system.
        cells: its folds' accounts.
        predictions: its folds' tables, with a column ``fold``.
        gate: what the data are.
        level: of the interval.

    Raises:
        CfnsrError: the folds differ in what they should share: parameters, protocol, seed or data.
    """
    chosen = dict(iter(predictions.groupby("choice")))
    scores = {choice: metrics.scores(part, gate.labels) for choice, part in chosen.items()}
    per_fold = [metrics.scores(part, gate.labels).accuracy for _, part in chosen["selected"].groupby("fold")]
    low, high = metrics.interval(chosen["selected"], level)
    common = {key: cells[0][key] for key in ("parameters", "protocol", "seed", "data", "reads", "reconstructed")}
    if any({**cell, **common} != cell for cell in cells):
        raise CfnsrError(name, f"its folds differ in {', '.join(common)}", "Run `dvc repro -f train`")
    return Row(
        name=name,
        **asdict(scores["selected"]),
        deviation=float(np.std(per_fold, ddof=1)),
        low=low,
        high=high,
        **{
            choice: scores[choice].accuracy if choice in scores else None
            for choice in ("last", "optimistic", "without_video", "without_audio")
        },
        imported="; ".join(_told(cell["fold"], file) for cell in cells for file in cell["imported"]),
        **{**common, "reads": " ".join(common["reads"])},
        clips=len(chosen["selected"]),
        skipped=len(gate.skipped),
        speakers=len(set(chosen["selected"]["actor"])),
        folds=len(gate.folds),
        level=level,
    )


def _told(fold: str, file: dict[str, Any]) -> str:
    """Where imported weights came from, and how the clips differ from those they know."""
    differs = f", made for other clips: {', '.join(file['differs'])}" if file["differs"] else ""
    return f"{fold} {file['file']} (sha256 {file['sha256'][:12]}{differs})"


def write(
    cells: Path, predictions: Path, curves: Path, gate: Gate, out: Path, *, names: list[str], level: float
) -> list[Row]:
    """Read every cell that the run names, and write ``out``'s files.

    ``systems/<name>.json`` are DVC's metrics, ``results.csv`` holds every figure, ``confusion/`` and ``curves/``
    hold the plots' data, ``report.md`` the table.

    Args:
        cells, predictions, curves: folders of ``<name>/<fold>``; what the run does not name is not read.
        gate: labels, folds and fingerprint.
        out: where to write.
        names: the rows, in their order.
        level: of the interval.

    Raises:
        CfnsrError: a cell is missing, or was trained on other data than the gate's.
    """
    rows = []
    with (
        atomic_folder(out / "systems") as systems,
        atomic_folder(out / "confusion") as confusion,
        atomic_folder(out / "curves") as lines,
    ):
        for name in names:
            accounts = [_account(cells / name / f"{fold}.json", gate) for fold in gate.folds]
            predicted = pd.concat(
                [
                    pd.read_parquet(_existing(predictions / name / f"{fold}.parquet")).assign(fold=fold)
                    for fold in gate.folds
                ],
                ignore_index=True,
            )
            line = row(name, accounts, predicted, gate, level)
            rows.append(line)
            # Two columns a system: more would make `dvc exp show` unreadable; the rest is in results.csv.
            figures = {"accuracy": round(line.accuracy, 4), "uar": round(line.uar, 4)}
            (systems / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
            selected = predicted.loc[predicted["choice"] == "selected", ["label", "predicted"]]
            selected.rename(columns={"label": "actual"}).to_csv(
                confusion / f"{name}.csv", index=False, lineterminator="\n"
            )
            if any(account["epochs"] for account in accounts):
                drawn = _curves(curves / name, list(gate.folds))
                drawn.to_csv(lines / f"{name}.csv", index=False, lineterminator="\n")
    with atomic_file(out / "results.csv") as partial:
        pd.DataFrame([asdict(line) for line in rows]).to_csv(partial, index=False, lineterminator="\n")
    with atomic_file(out / "report.md") as partial:
        partial.write_text(table.markdown(rows, gate.corpus, gate.skipped), encoding="utf-8")
    return rows


def read(out: Path) -> list[Row]:
    """The rows that ``write`` left in ``results.csv``.

    Raises:
        CfnsrError: it is missing, or of another version.
    """
    path = _existing(out / "results.csv")
    try:
        # An empty cell is an empty text, or a number that is not there.
        texts = [one.name for one in fields(Row) if one.type == "str"]
        numbers = {one.name: [""] for one in fields(Row) if one.name not in texts}
        figures = pd.read_csv(path, dtype=dict.fromkeys(texts, "str"), na_values=numbers, keep_default_na=False)
        return [
            Row(**{name: None if pd.isna(value) else value for name, value in values.items()})  # pyright: ignore
            for values in figures.to_dict("records")
        ]
    except (ValueError, TypeError) as error:
        raise CfnsrError(path, f"is not a table of results ({error})", "Run `dvc repro -f report`") from error


def _account(path: Path, gate: Gate) -> dict[str, Any]:
    account = json.loads(_existing(path).read_text(encoding="utf-8"))
    if account["data"] != gate.fingerprint:
        raise CfnsrError(path, "was trained on other data than data/<corpus>/corpus.json describes", "Run `dvc repro`")
    return account


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise CfnsrError(path, "is missing", "Run `dvc repro`, which makes what is missing")
    return path


def _curves(folder: Path, folds: list[str]) -> pd.DataFrame:
    """Per epoch, averaged over folds: losses, validation accuracy, and test accuracy that nothing chose by."""
    parts: list[pd.DataFrame] = []
    for fold in folds:
        files = {
            "train_loss": "train/loss",
            "validation_loss": "validation/loss",
            "validation_accuracy": "validation/accuracy",
        }
        part = pd.read_csv(_existing(folder / fold / "test.csv")).rename(columns={"accuracy": "test_accuracy"})
        for column, metric in files.items():
            values = pd.read_csv(folder / fold / "plots" / "metrics" / f"{metric}.tsv", sep="\t")
            part[column] = values[metric.rsplit("/", 1)[1]].to_numpy()
        parts.append(part)
    return pd.DataFrame(pd.concat(parts).groupby("epoch", as_index=False).mean())
