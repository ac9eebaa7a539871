"""Write the card of a model from the results of its row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cfnsr.corpora import facts
from cfnsr.data.jobs import VALIDATION, JobPaths, JobRecord, read_predictions
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.inference.card import Card, CrossFigure, HeldOut
from cfnsr.report import cross, metrics, significance
from cfnsr.report.best_model import BestModel


def card(
    folder: Path,
    manifest: Manifest,
    best: BestModel,
    trials: list[Trial],
    *,
    refit: bool,
    encoder_licence: str,
    cross_rows: tuple[str, ...],
    ci_level: float,
) -> Card:
    """Write the card of one model of a row.

    Args:
        folder: of the corpus, with ``jobs``.
        manifest: of the corpus.
        best: the model, and how it was chosen.
        trials: of the row: all folds and seeds.
        refit: whether the model was fitted to the validation speakers too, once they had chosen.
        encoder_licence: of a frozen encoder's weights; empty without.
        cross_rows: the encoders that are trained on other corpora.
        ci_level: nominal coverage of the intervals.

    Raises:
        CfnsrError: a file is missing or damaged.
    """
    name, trial = best.name, best.trial
    tables = {
        of: read_predictions(JobPaths.of(folder, name, of).predictions, ["actor", "clip"], labels=manifest.labels)
        for of in trials
    }
    selected = pd.concat([table.loc[table["choice"] == "selected"] for table in tables.values()], ignore_index=True)
    validation = tables[trial].loc[tables[trial]["choice"] == VALIDATION]
    speakers = manifest.speakers(trial)
    trained = [*speakers.train, *(speakers.validation if refit else ())]
    known = facts.of(manifest.corpus)
    licences = [(manifest.corpus, known.licence), ("weights of the encoder", encoder_licence)]
    return Card(
        name=f"{name}, {manifest.corpus}",
        corpus=manifest.corpus,
        language=known.language,
        labels=manifest.labels,
        modalities=JobRecord.read(JobPaths.of(folder, name, trial).record).reads,
        row=name,
        fold=trial.fold,
        trained_clips=sum(manifest.clips[speaker] for speaker in trained),
        trained_speakers=len(trained),
        temperature=round(metrics.temperature(validation, manifest.labels), 4),
        held_out=_held_out(selected, manifest.labels, best, ci_level),
        cross=cross_figures(folder, manifest, [row for row in cross_rows if row == name], ci_level),
        licence="; ".join(f"{what}: {licence}" for what, licence in licences if licence),
    )


def _held_out(selected: pd.DataFrame, labels: list[str], best: BestModel, ci_level: float) -> HeldOut:
    scores, by_speaker = metrics.scores(selected, labels), metrics.by_speaker(selected)
    low, high = significance.interval(by_speaker, ci_level)
    return HeldOut(
        accuracy=round(scores.accuracy, 4),
        ci_low=round(low, 4),
        ci_high=round(high, 4),
        uar=round(scores.uar, 4),
        clips=int(by_speaker.clips.sum()),
        speakers=len(by_speaker.shares),
        protocol=best.trial.protocol,
        candidates=best.candidates,
        optimism=round(best.optimism, 4),
    )


def cross_figures(folder: Path, manifest: Manifest, names: list[str], ci_level: float) -> list[CrossFigure]:
    """Read how an encoder's classifiers do that were trained on other corpora and tested on this one.

    Only of those that are standardised by their training clips: one recording alone cannot be standardised otherwise.

    Args:
        folder: of the tested corpus, with ``jobs``.
        manifest: of that corpus.
        names: the encoders.
        ci_level: nominal coverage of the intervals.

    Raises:
        CfnsrError: a file is missing or damaged.
    """
    return [
        CrossFigure(
            trained_on=row.trained_on,
            corpus=manifest.corpus,
            emotions=row.emotions.split(", "),
            accuracy=round(row.accuracy, 4),
            ci_low=round(row.ci_low, 4),
            ci_high=round(row.ci_high, 4),
            chance=round(row.chance, 4),
            standardised=row.standardise,
        )
        for row in cross.gather(folder, manifest, names, {}, ci_level)
        if row.standardise == "training"
    ]
