"""Figures of classifiers that were trained on other corpora, beside the same encoder's held-out figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.data.jobs import probabilities, read_predictions
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.features.cross_record import FOLDER, CrossRecord, CrossTraining
from cfnsr.report import metrics, significance
from cfnsr.runtime import stored


@dataclass(frozen=True)
class CrossRow:
    """One classifier that was trained on other corpora; shares are from 0 to 1.

    Attributes:
        name: readable, and of this row alone.
        encoder: the section of ``features``.
        trained_on: the other corpora, separated by commas.
        standardise: ``training`` or ``target``.
        emotions: those shared, separated by commas.
        chance: one over their number.
        accuracy, uar: on all clips of the tested corpus that have one of the emotions.
        ci_low, ci_high: confidence interval of the accuracy over the tested corpus's speakers.
        held_out, held_out_uar: of the encoder's held-out row, on the same clips, between the same emotions; None
            without such a row.
        held_out_ci_low, held_out_ci_high: as above.
        clips, speakers: how many were tested.
        not_tested: clips of the tested corpus with other emotions.
        training_clips, training_speakers: of the other corpora.
        layer: of the encoder, from 0.
        c: inverse strength of the regularisation.
        ci_level: nominal coverage of the intervals.
        seen: whether the encoder's weights have seen the tested corpus: ``no``, ``yes``, or ``unknown``.
    """

    name: str
    encoder: str
    trained_on: str
    standardise: str
    emotions: str
    chance: float
    accuracy: float
    ci_low: float
    ci_high: float
    uar: float
    held_out: float | None
    held_out_ci_low: float | None
    held_out_ci_high: float | None
    held_out_uar: float | None
    clips: int
    speakers: int
    not_tested: int
    training_clips: int
    training_speakers: int
    layer: int
    c: float
    ci_level: float
    seen: str


def gather(
    folder: Path, manifest: Manifest, names: Iterable[str], held_out: Mapping[str, pd.DataFrame], ci_level: float
) -> list[CrossRow]:
    """Read what was trained on other corpora, and compute its figures.

    Args:
        folder: of the corpus, with ``jobs``.
        manifest: of the corpus.
        names: the encoders, rows of `run.cross`.
        held_out: the held-out predictions of all folds and seeds, by row.
        ci_level: nominal coverage of the intervals.

    Raises:
        CfnsrError: a file is missing or damaged, or was made from other data or speakers than the manifest's.
    """
    rows = []
    for name in names:
        results = folder / "jobs" / FOLDER / name
        record = CrossRecord.read(results / "record.json")
        if record.name != name or record.labels.keys() != {*manifest.labels}:
            problem = f"is of the row {record.name} with the emotions {', '.join(record.labels)}"
            raise CfnsrError(results / "record.json", problem, stored.AGAIN)
        if record.data != manifest.fingerprint:
            problem = "was made from other data than manifest.json describes"
            raise CfnsrError(results / "record.json", problem, "Run `dvc repro` without `-s`, which makes it again")
        if record.speakers != manifest.tested:
            problem = "tests other speakers than the folds do"
            raise CfnsrError(results / "record.json", problem, "Run `dvc repro` without `-s`, which makes it again")
        path = results / "predictions.parquet"
        table = read_predictions(path, ["actor", "clip", "trained_on", "standardise"])
        for training in record.trainings:
            trained_on = ", ".join(training.trained_on)
            ours = (table["trained_on"] == trained_on) & (table["standardise"] == training.standardise)
            part = table.iloc[np.flatnonzero(ours)]
            if not len(part) or not {*probabilities(training.emotions)} <= {*table.columns}:
                raise CfnsrError(path, f"has no predictions of what {trained_on} trained", stored.AGAIN)
            if len(part) != training.tested or part.duplicated(["actor", "clip"]).any():
                raise CfnsrError(path, f"does not predict each clip once (trained on {trained_on})", stored.AGAIN)
            rows.append(_row(record, training, part, held_out.get(name), ci_level))
    return rows


def restricted(predictions: pd.DataFrame, labels: Mapping[str, str], emotions: list[str]) -> pd.DataFrame:
    """Restrict predictions to some emotions: their clips, and their probabilities, which add up to one again.

    Args:
        predictions: with a probability for each of ``labels``.
        labels: by emotion, its common name; of emotions with the same name the probabilities are added.
        emotions: common names.
    """
    common = [labels[label] for label in predictions["label"]]
    rows = [number for number, name in enumerate(common) if name in emotions]
    table = predictions.assign(label=common).iloc[rows]
    of_emotion = [probabilities([label for label, name in labels.items() if name == emotion]) for emotion in emotions]
    sums = np.stack([table[columns].to_numpy(np.float64).sum(axis=1) for columns in of_emotion], axis=1)
    sums = np.maximum(sums, 1e-30)
    kept = pd.DataFrame({name: table[name].tolist() for name in ("actor", "clip", "label")})
    kept["predicted"] = [emotions[best] for best in sums.argmax(axis=1)]
    kept[probabilities(emotions)] = sums / sums.sum(axis=1, keepdims=True)
    return kept


def _row(
    record: CrossRecord,
    training: CrossTraining,
    predictions: pd.DataFrame,
    held_out: pd.DataFrame | None,
    ci_level: float,
) -> CrossRow:
    trained_on, figures = ", ".join(training.trained_on), _figures(predictions, training.emotions, ci_level)
    beside: dict[str, Any] = dict.fromkeys(("accuracy", "ci_low", "ci_high", "uar"))
    if held_out is not None:
        beside = _figures(restricted(held_out, record.labels, training.emotions), training.emotions, ci_level)
    return CrossRow(
        name=f"{record.name} from {' and '.join(training.trained_on)}, by {training.standardise}",
        encoder=record.name,
        trained_on=trained_on,
        standardise=training.standardise,
        emotions=", ".join(training.emotions),
        chance=1 / len(training.emotions),
        **figures,
        held_out=beside["accuracy"],
        **{f"held_out_{name}": beside[name] for name in ("ci_low", "ci_high", "uar")},
        clips=training.tested,
        speakers=len({*predictions["actor"]}),
        not_tested=sum(training.not_tested.values()),
        training_clips=training.training_clips,
        training_speakers=training.training_speakers,
        layer=training.layer,
        c=training.c,
        ci_level=ci_level,
        seen=record.seen,
    )


def _figures(predictions: pd.DataFrame, emotions: list[str], ci_level: float) -> dict[str, float]:
    scores = metrics.scores(predictions, emotions)
    low, high = significance.interval(metrics.by_speaker(predictions), ci_level)
    return {"accuracy": scores.accuracy, "ci_low": low, "ci_high": high, "uar": scores.uar}


def metric(rows: list[CrossRow]) -> dict[str, dict[str, float]]:
    """Return the accuracies for DVC's metrics; nothing without rows."""
    return {"cross_accuracy": {row.name: round(row.accuracy, 4) for row in rows}} if rows else {}
