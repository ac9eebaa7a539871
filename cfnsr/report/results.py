"""Cells and predictions -> the figures of every row that a run names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.report import metrics, pooling
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.report.rows import Difference, ResultRow, label


@dataclass(frozen=True)
class Made:
    """Folders of what cells have written: ``<protocol>/<name>/<fold>/<seed>``."""

    cells: Path
    predictions: Path
    curves: Path


@dataclass(frozen=True)
class Results:
    """All that the report's files are written from.

    Attributes:
        rows: the table's lines.
        differences: between any two rows held out.
        predicted: by row, the predictions at the selected epoch, of all folds and seeds.
        recalls: of each row and emotion: ``name, label, recall, clips``.
        curves: by row, where it trained, the figures of each epoch.
    """

    rows: list[ResultRow]
    differences: list[Difference]
    predicted: dict[str, pd.DataFrame]
    recalls: pd.DataFrame
    curves: dict[str, pd.DataFrame]


def gather(made: Made, manifest: Manifest, *, wanted: ExpectedOutputs, level: float) -> Results:
    """Read every cell that the run names.

    Args:
        made: what to read; what the run does not name is not read.
        manifest: labels, folds and fingerprint.
        wanted: the rows, in their order.
        level: of the interval.

    Raises:
        CfnsrError: a cell is missing, or was trained on other data than the manifest's.
    """
    lines: list[ResultRow] = []
    predicted: dict[str, pd.DataFrame] = {}
    curves: dict[str, pd.DataFrame] = {}
    for (protocol, name), trials in wanted.rows.items():
        row = label(protocol, name)
        accounts = [_account(trial.within(made.cells / protocol, name, ".json"), manifest) for trial in trials]
        tables = _tables(made.predictions / protocol, name, trials)
        lines.append(pooling.pooled(row, accounts, tables, manifest, level))
        predicted[row] = tables.loc[tables["choice"] == "selected"]
        if any(account["epochs"] for account in accounts):
            curves[row] = _curves([trial.within(made.curves / protocol, name) for trial in trials])
    lines = pooling.beside_held_out(lines)
    differences = list(pooling.compare({line.name: predicted[line.name] for line in lines if not line.published}))
    recalls = [
        {"name": name, "label": emotion, "recall": recall, "clips": _clips(chosen, emotion)}
        for name, chosen in predicted.items()
        for emotion, recall in metrics.recalls(chosen, manifest.labels).items()
    ]
    return Results(lines, differences, predicted, pd.DataFrame(recalls), curves)


def existing(path: Path) -> Path:
    """A file that a stage must have left.

    Raises:
        CfnsrError: it is missing.
    """
    if not path.is_file():
        raise CfnsrError(path, "is missing", "Run `dvc repro`, which makes what is missing")
    return path


def _account(path: Path, manifest: Manifest) -> dict[str, Any]:
    account = json.loads(existing(path).read_text(encoding="utf-8"))
    if account["data"] != manifest.fingerprint:
        raise CfnsrError(
            path, "was trained on other data than data/<corpus>/manifest.json describes", "Run `dvc repro`"
        )
    return account


def _tables(folder: Path, name: str, trials: list[Trial]) -> pd.DataFrame:
    parts = [
        pd.read_parquet(existing(trial.within(folder, name, ".parquet"))).assign(fold=trial.fold, seed=trial.seed)
        for trial in trials
    ]
    return pd.concat(parts, ignore_index=True)


def _clips(chosen: pd.DataFrame, label: str) -> int:
    """How many clips of an emotion were tested, however many seeds did."""
    return len(chosen.loc[chosen["label"] == label, ["actor", "clip"]].drop_duplicates())


def _curves(folders: list[Path]) -> pd.DataFrame:
    """Per epoch, averaged over the trials that got there: losses, validation accuracy, and test accuracy.

    Nothing chose by the latter. ``trials`` says how many there were: with patience some end before others.
    """
    parts: list[pd.DataFrame] = []
    for folder in folders:
        files = {
            "train_loss": "train/loss",
            "validation_loss": "validation/loss",
            "validation_accuracy": "validation/accuracy",
        }
        part = pd.read_csv(existing(folder / "test.csv")).rename(columns={"accuracy": "test_accuracy"})
        for column, metric in files.items():
            values = pd.read_csv(folder / "plots" / "metrics" / f"{metric}.tsv", sep="\t")
            part[column] = values[metric.rsplit("/", 1)[1]].to_numpy()
        parts.append(part)
    joined = pd.concat(parts)
    means = pd.DataFrame(joined.groupby("epoch", as_index=False).mean())
    means["trials"] = np.bincount(joined["epoch"])[1:]
    return means
