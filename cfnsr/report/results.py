"""Read the files of every job, and compute the figures of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cfnsr.data.jobs import VALIDATION, JobPaths, JobRecord, read_predictions
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Speakers, Trial
from cfnsr.errors import CfnsrError
from cfnsr.report import cross, metrics
from cfnsr.report.cross import CrossRow
from cfnsr.report.differences import Difference, compare
from cfnsr.report.expected import ExpectedOutputs, label
from cfnsr.report.rows import ResultRow, relate, summarise
from cfnsr.runtime import stored

_WITHOUT_S = "Run `dvc repro` without `-s`, which makes it again"
_CURVES = ("train/loss", "validation/loss", "validation/accuracy")  # DVCLive's


@dataclass(frozen=True)
class Results:
    """The figures that the report's files are written from.

    Attributes:
        rows: of the table.
        differences: between every two rows whose epoch the test speakers did not choose.
        predictions: by row, those at the selected epoch, of all folds and seeds.
        recalls: of each row and emotion, with columns ``name``, ``label``, ``recall``, ``clips``.
        curves: by row that was trained, the mean figures of each epoch.
        cross: rows of their own, trained on other corpora.
    """

    rows: list[ResultRow]
    differences: list[Difference]
    predictions: dict[str, pd.DataFrame]
    recalls: pd.DataFrame
    curves: dict[str, pd.DataFrame]
    cross: list[CrossRow] = field(default_factory=list)


def gather(folder: Path, manifest: Manifest, *, expected: ExpectedOutputs, ci_level: float) -> Results:
    """Read every expected job and compute the figures.

    Args:
        folder: of the corpus, with ``jobs``; jobs that are not expected are not read.
        manifest: labels, folds and fingerprint of the data.
        expected: the rows, in their order.
        ci_level: nominal coverage of the interval.

    Raises:
        CfnsrError: a job's file is missing or damaged, or it was made from other data or speakers than the manifest's.
    """
    rows: list[ResultRow] = []
    predictions: dict[str, pd.DataFrame] = {}
    curves: dict[str, pd.DataFrame] = {}
    for (protocol, name), trials in expected.rows.items():
        row = label(protocol, name)
        paths = [JobPaths.of(folder, name, trial) for trial in trials]
        sets = [manifest.speakers(trial) for trial in trials]
        records = [
            _record(path.record, manifest, speakers, trial)
            for path, speakers, trial in zip(paths, sets, trials, strict=True)
        ]
        tables = [
            read_predictions(path.predictions, ["actor", "clip"], speakers, manifest.labels).assign(
                fold=trial.fold, seed=trial.seed
            )
            for path, trial, speakers in zip(paths, trials, sets, strict=True)
        ]
        for path, table, speakers in zip(paths, tables, sets, strict=True):
            _check_clips(path.predictions, table, manifest, speakers)
        table = pd.concat(tables, ignore_index=True)
        rows.append(summarise(row, records, table, manifest, ci_level))
        predictions[row] = table.loc[table["choice"] == "selected"]
        if any(record.epochs for record in records):
            curves[row] = mean_curves([path.curves for path in paths])
    differences = compare({row.name: predictions[row.name] for row in rows if row.compared})
    return Results(
        relate(rows, differences),
        differences,
        predictions,
        _recalls(predictions, manifest.labels),
        curves,
        cross.gather(folder, manifest, expected.cross, predictions, ci_level),
    )


def read_table(path: Path, columns: Sequence[str], remedy: str = stored.AGAIN, **options: Any) -> pd.DataFrame:
    """Read a table that a stage wrote as CSV or TSV.

    Args:
        path: of the file; its suffix names the format.
        columns: those that it must have.
        remedy: for the error.
        options: of pandas' reader.

    Raises:
        CfnsrError: it is missing, damaged, or lacks a column.
    """
    with stored.reading(path, "a table", remedy):
        table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", **options)
        missing = [column for column in columns if column not in table]
        if missing:
            raise ValueError(f"it lacks the column {', '.join(missing)}")
        return table


def mean_curves(folders: list[Path]) -> pd.DataFrame:
    """Average the learning curves of several jobs, epoch by epoch.

    Args:
        folders: each with DVCLive's files, and with ``test.csv``, which selects nothing.

    Returns:
        ``epoch``, ``test_accuracy``, ``train_loss``, ``validation_loss``, ``validation_accuracy``, and ``trials``, the
        number of jobs averaged: with patience some end before others.
    """
    parts: list[pd.DataFrame] = []
    for folder in folders:
        part = _figures(folder / "test.csv", "epoch", "accuracy").rename(columns={"accuracy": "test_accuracy"})
        for metric in _CURVES:
            path = folder / "plots" / "metrics" / f"{metric}.tsv"
            values = _figures(path, path.stem)[path.stem].to_numpy()
            if len(values) != len(part):
                raise CfnsrError(path, f"has {len(values)} epochs, test.csv {len(part)}", stored.AGAIN)
            part[metric.replace("/", "_")] = values
        parts.append(part)
    epochs: Any = pd.concat(parts).groupby("epoch")
    return epochs.mean().assign(trials=epochs.size()).reset_index()


def _figures(path: Path, *columns: str) -> pd.DataFrame:
    """Read columns of numbers."""
    table: Any = read_table(path, columns)[list(columns)]
    with stored.reading(path, "a learning curve"):
        if not len(table):
            raise ValueError("it has no epoch")
        return table.astype({column: "int64" if column == "epoch" else "float64" for column in columns})


def _record(path: Path, manifest: Manifest, speakers: Speakers, trial: Trial) -> JobRecord:
    record = JobRecord.read(path)
    if (record.fold, record.seed) != (trial.fold, trial.seed):
        raise CfnsrError(path, f"is of {record.fold}, seed {record.seed}", stored.AGAIN)
    if record.data != manifest.fingerprint:
        raise CfnsrError(path, "was made from other data than manifest.json describes", _WITHOUT_S)
    speakers.require(record.speakers, path)
    return record


def _check_clips(path: Path, predictions: pd.DataFrame, manifest: Manifest, speakers: Speakers) -> None:
    """Check that a job predicts each clip of its speakers once, at each choice of the epoch."""
    for choice, part in predictions.groupby("choice"):
        of_choice = speakers.validation if choice == VALIDATION else speakers.test
        counts = part.drop_duplicates(["actor", "clip"]).groupby("actor").size()
        if len(part) != counts.sum() or counts.to_dict() != {speaker: manifest.clips[speaker] for speaker in of_choice}:
            problem = f"does not predict each clip of its speakers once ({choice})"
            raise CfnsrError(path, problem, stored.AGAIN)


def _recalls(predictions: dict[str, pd.DataFrame], labels: list[str]) -> pd.DataFrame:
    rows = []
    for name, table in predictions.items():
        clips: Any = table.drop_duplicates(["actor", "clip"])["label"].value_counts()  # seeds share their clips
        for emotion, recall in metrics.recalls(table, labels).items():
            rows.append({"name": name, "label": emotion, "recall": recall, "clips": int(clips[emotion])})
    return pd.DataFrame(rows)
