"""Made-up results of three systems: shards, and every job's record, predictions and curves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.data.jobs import CHOICES, SPEAKERS, VALIDATION, JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import PROTOCOLS, Trial, split
from cfnsr.features.cross_record import FOLDER, CrossRecord, CrossTraining
from cfnsr.report import cross, files, page, results
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.report.page.gallery import Gallery
from cfnsr.report.page.provenance import Provenance
from tests.support import corpus

SKILLS = {"video": 0.4, "audio": 0.5, "cfnsr": 0.75}
ACTORS = corpus.ACTORS
LABELS = ["calm", "angry", "happy", "sad"]
SEED = 7
PROVENANCE = Provenance("tiny", [("train.seed", "1", "2")])


def manifest(**changes: Any) -> Manifest:
    folds = {f"fold_{number}": [actor] for number, actor in enumerate(ACTORS, start=1)}
    values: dict[str, Any] = {
        "corpus": "made_up",
        "labels": LABELS,
        "protocols": {protocol: split(protocol, ACTORS, folds) for protocol in PROTOCOLS},
        "clips": dict.fromkeys(ACTORS, 8),
        "skipped": {},
        "preprocessing": {},
        "shapes": {"frames": [4, 16, 16, 3], "mel": [32, 36], "mfcc": [13, 36]},
        "fingerprint": "0123456789abcdef",
        "libraries": [],
        "units": "speakers",
        "arrays": {},
    }
    return Manifest(**(values | changes))


def expected(*names: str, protocols: Iterable[str] = ("held_out",), seeds: Iterable[int] = (SEED,)) -> ExpectedOutputs:
    """All folds of some systems, or of all."""
    rows = [(protocol, name) for protocol in protocols for name in names or SKILLS]
    return ExpectedOutputs.of(rows, manifest().folds, seeds)


def predictions(name: str, labels: list[str] | None = None, seed: int = SEED) -> pd.DataFrame:
    """Predictions of all speakers' clips, of which a share ``SKILLS[name]`` is correct."""
    labels = labels or LABELS
    random = np.random.default_rng([seed, *name.encode()])
    rows = []
    for number, actor in enumerate(ACTORS, start=1):
        for clip in range(8):
            correct = random.random() < SKILLS.get(name, 0.5)
            logits = random.normal(0, 1, len(labels)) + 4.0 * (
                np.arange(len(labels)) == (clip + (not correct) * random.integers(1, len(labels))) % len(labels)
            )
            probabilities = np.exp(logits) / np.exp(logits).sum()
            rows.append(
                {
                    "clip": f"clip-{actor}-{clip}",
                    "actor": actor,
                    "label": labels[clip % len(labels)],
                    "predicted": labels[int(probabilities.argmax())],
                    "fold": f"fold_{number}",
                    "seed": seed,
                    **{f"p_{label}": float(value) for label, value in zip(labels, probabilities, strict=True)},
                }
            )
    table = pd.DataFrame(rows)
    if name == "cfnsr":
        table["attention"] = random.dirichlet(np.ones(4), (len(rows), 2)).reshape(-1, 2, 2, 2).tolist()
    return table


def record(name: str, trial: Trial, **changes: Any) -> JobRecord:
    values: dict[str, Any] = {
        "name": name,
        "protocol": trial.protocol,
        "fold": trial.fold,
        "seed": trial.seed,
        "data": manifest().fingerprint,
        "parameters": 1000,
        "reads": ["audio", "video"] if name == "cfnsr" else [name],
        "reconstructed": "",
        "published_accuracy": 0.7576 if name == "cfnsr" else None,
        "imported": [],
        "epochs": 2,
        "selected_epoch": 1,
        "best_test_epoch": 2,
        "speakers": manifest().speakers(trial).lists(),
        "libraries": {"torch": "2.10.0"},
    }
    return JobRecord(**(values | changes))


def write_job(folder: Path, name: str, trial: Trial, labels: list[str] | None = None, **changes: Any) -> None:
    """Write one job's files below a corpus's folder; ``changes`` are those of its record."""
    paths = JobPaths.of(folder, name, trial)
    record(name, trial, **changes).write(paths.record)

    speakers = manifest().speakers(trial)

    def of_fold(system: str, choice: str, seed: int = trial.seed) -> pd.DataFrame:
        table = predictions(system, labels, seed)
        of_choice = speakers.validation if choice == VALIDATION else speakers.test
        return table.loc[table["actor"].isin(of_choice)].drop(columns=["fold", "seed"]).assign(choice=choice)

    parts = [of_fold(name, CHOICES[0])]
    parts += [of_fold(name, choice, trial.seed + number) for number, choice in enumerate(CHOICES[1:], start=1)]
    if trial.protocol == "held_out":
        parts.append(of_fold(name, VALIDATION, trial.seed + 9))
    if name == "cfnsr":
        parts += [of_fold("video", "without_audio"), of_fold("audio", "without_video")]
    table = pd.concat(parts, ignore_index=True)
    table.attrs[SPEAKERS] = speakers.lists()
    table.to_parquet(paths.predictions, index=False, write_page_checksum=True)
    write_curves(paths.curves, epochs=2)


def write_curves(folder: Path, epochs: int) -> None:
    """Write DVCLive's files and ``test.csv``: every figure is one over its epoch."""
    figures = [1 / epoch for epoch in range(1, epochs + 1)]
    for metric in ("train/loss", "validation/loss", "validation/accuracy"):
        path = folder / "plots" / "metrics" / f"{metric}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame({"step": range(epochs), metric.rpartition("/")[2]: figures})
        table.to_csv(path, sep="\t", index=False)
    pd.DataFrame({"epoch": range(1, epochs + 1), "accuracy": figures}).to_csv(folder / "test.csv", index=False)


def write_jobs(folder: Path, wanted: ExpectedOutputs, labels: list[str] | None = None, **changes: Any) -> Path:
    """Write the files of all jobs."""
    for (_, name), trials in wanted.rows.items():
        for trial in trials:
            write_job(folder, name, trial, labels, **changes)
    return folder


def write_cross(folder: Path) -> None:
    """Write what the encoder ``audio`` is trained to do on other corpora, which have no calm clip."""
    names = {"calm": "calm", "angry": "anger", "happy": "happiness", "sad": "sadness"}
    emotions = [name for name in names.values() if name != "calm"]
    tables, trainings = [], []
    ways = ((["emodb"], "training"), (["emodb"], "target"), (["emodb", "crema_d"], "training"))
    for number, (trained_on, standardise) in enumerate(ways):
        table = cross.restricted(predictions("audio", seed=number), names, emotions)
        tables.append(table.assign(choice="selected", trained_on=", ".join(trained_on), standardise=standardise))
        trainings.append(
            CrossTraining(trained_on, standardise, emotions, 40, 5, {}, len(table), {"calm": 8}, layer=1, c=0.1)
        )
    results_folder = folder / "jobs" / FOLDER / "audio"
    record = CrossRecord("audio", manifest().fingerprint, {"emodb": "1"}, "unknown", names, trainings, ACTORS)
    results_folder.mkdir(parents=True)
    record.write(results_folder / "record.json")
    pd.concat(tables).to_parquet(results_folder / "predictions.parquet", index=False, write_page_checksum=True)


def gathered(folder: Path, known: Manifest) -> results.Results:
    """Write the jobs of the three systems, with labels and fingerprint of a manifest, and gather them."""
    write_jobs(folder, expected(), known.labels, data=known.fingerprint)
    return results.gather(folder, known, expected=expected(), ci_level=0.95)


def write(
    out: Path,
    shards: Path,
    *,
    figures: results.Results | None = None,
    faces: bool = True,
    provenance: Provenance = PROVENANCE,
    **changes: Any,
) -> results.Results:
    """Write every file of the report; ``changes`` are those of the manifest."""
    known = manifest(**changes)
    figures = figures or gathered(out / "corpus", known)
    files.write(out, figures, known)
    page.write(out / "report.html", figures, known, Gallery(shards, known, faces=faces), provenance)
    return figures
