"""Files of every job -> figures of every row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cfnsr.data.jobs import JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import metrics
from cfnsr.report.expected import ExpectedOutputs, label
from cfnsr.report.rows import Difference, ResultRow, compare, relate, summarise


@dataclass(frozen=True)
class Results:
    """All that the report's files are written from.

    Attributes:
        rows: the table's.
        differences: between every two rows whose epoch the test speakers did not choose.
        predictions: by row, those at the selected epoch, of all folds and seeds.
        recalls: of each row and emotion, with columns ``name``, ``label``, ``recall``, ``clips``.
        curves: by row that was trained, the mean figures of each epoch.
    """

    rows: list[ResultRow]
    differences: list[Difference]
    predictions: dict[str, pd.DataFrame]
    recalls: pd.DataFrame
    curves: dict[str, pd.DataFrame]


def gather(folder: Path, manifest: Manifest, *, expected: ExpectedOutputs, ci_level: float) -> Results:
    """Read every expected job and compute the figures.

    Args:
        folder: of the corpus, with ``jobs``; jobs that are not expected are not read.
        manifest: labels, folds and fingerprint of the data.
        expected: the rows, in their order.
        ci_level: nominal coverage of the interval.

    Raises:
        CfnsrError: a job's file is missing, or it was made from other data than the manifest's.
    """
    rows: list[ResultRow] = []
    predictions: dict[str, pd.DataFrame] = {}
    curves: dict[str, pd.DataFrame] = {}
    for (protocol, name), trials in expected.rows.items():
        row = label(protocol, name)
        paths = [JobPaths.of(folder, name, trial) for trial in trials]
        records = [_record(path.record, manifest) for path in paths]
        tables = [
            pd.read_parquet(existing(path.predictions)).assign(fold=trial.fold, seed=trial.seed)
            for path, trial in zip(paths, trials, strict=True)
        ]
        table = pd.concat(tables, ignore_index=True)
        rows.append(summarise(row, records, table, manifest, ci_level))
        predictions[row] = table.loc[table["choice"] == "selected"]
        if any(record.epochs for record in records):
            curves[row] = mean_curves([path.curves for path in paths])
    differences = compare({row.name: predictions[row.name] for row in rows if not row.test_selected})
    return Results(relate(rows, differences), differences, predictions, _recalls(predictions, manifest.labels), curves)


def existing(path: Path) -> Path:
    """Return the path of a file that a stage must have written.

    Raises:
        CfnsrError: it is missing.
    """
    if not path.is_file():
        raise CfnsrError(path, "is missing", "Run `dvc repro`, which makes what is missing")
    return path


def mean_curves(folders: list[Path]) -> pd.DataFrame:
    """Average the learning curves of several jobs, epoch by epoch.

    Args:
        folders: of DVCLive's files, and of ``test.csv``, by which nothing is chosen.

    Returns:
        ``epoch``, ``test_accuracy``, ``train_loss``, ``validation_loss``, ``validation_accuracy``, and ``trials``, the
        number of jobs averaged: with patience some end before others.
    """
    files = {
        "train_loss": "train/loss",
        "validation_loss": "validation/loss",
        "validation_accuracy": "validation/accuracy",
    }
    parts: list[pd.DataFrame] = []
    for folder in folders:
        part = pd.read_csv(existing(folder / "test.csv")).rename(columns={"accuracy": "test_accuracy"})
        for column, metric in files.items():
            values = pd.read_csv(existing(folder / "plots" / "metrics" / f"{metric}.tsv"), sep="\t")
            part[column] = values[metric.rpartition("/")[2]].to_numpy()
        parts.append(part)
    joined = pd.concat(parts)
    means = pd.DataFrame(joined.groupby("epoch", as_index=False).mean())
    means["trials"] = np.bincount(joined["epoch"])[1:]
    return means


def _record(path: Path, manifest: Manifest) -> JobRecord:
    record = JobRecord.read(existing(path))
    if record.data != manifest.fingerprint:
        raise CfnsrError(path, "was made from other data than manifest.json describes", "Run `dvc repro`")
    return record


def _recalls(predictions: dict[str, pd.DataFrame], labels: list[str]) -> pd.DataFrame:
    rows = []
    for name, table in predictions.items():
        clips = Counter(table.drop_duplicates(["actor", "clip"])["label"])  # seeds share their clips
        for emotion, recall in metrics.recalls(table, labels).items():
            rows.append({"name": name, "label": emotion, "recall": recall, "clips": clips[emotion]})
    return pd.DataFrame(rows)
