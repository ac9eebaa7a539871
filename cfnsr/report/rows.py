"""Compute a row of the table from the predictions of all its folds and seeds, and relate it to the other rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.data.jobs import VALIDATION, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import metrics, significance
from cfnsr.report.differences import Difference
from cfnsr.report.expected import label
from cfnsr.runtime import libraries

TEST_SELECTED = "test_selected"

# What all jobs of a row must share.
_COMMON = (
    "data",
    "frozen_parameters",
    "parameters",
    "protocol",
    "published_accuracy",
    "reads",
    "reconstructed",
    "seen",
)


@dataclass(frozen=True)
class ResultRow:
    """One row of the table; shares are from 0 to 1.

    Attributes:
        name: the system, or the single modality; see ``expected.label`` for protocols other than ``held_out``.
        accuracy, uar, f1, top2: on all test clips, at the selected epoch.
        std_folds: standard deviation of the accuracy between folds.
        std_seeds: the same between seeds of one fold; None with one seed, and then ``std_folds`` contains both.
        ci_low, ci_high: confidence interval of the accuracy over speakers.
        coverage: how often such an interval contains the true accuracy, by simulation.
        last_epoch: accuracy after the last epoch; None for imported networks, of which one epoch is known.
        best_test_epoch: accuracy at each fold's best test epoch, which is optimistic, not a result; None as above.
        gap: ``best_test_epoch`` minus accuracy; for a test-selected row, its accuracy minus that of its held-out row.
        p_best: p-value (Holm) of the difference to the best held-out row; None for that row and test-selected ones.
        without_video, without_audio: accuracy without that modality; None for a system that reads only one.
        ece: expected calibration error.
        ece_scaled: the same at the temperature fitted on the validation speakers.
        temperature: that temperature, the geometric mean over folds and seeds; None without validation speakers.
        reads: the modalities it reads, ``audio video`` or one of them.
        reconstructed: the parts that no source describes exactly; empty if all are known.
        imported: each fold's file if it was trained elsewhere; otherwise empty.
        parameters: number of weights, those of a frozen encoder included.
        frozen_parameters: those of a frozen encoder.
        published_accuracy: on RAVDESS, by another protocol; None if none was published.
        protocol: ``held_out``, ``test_selected`` or ``imported``.
        seeds: separated by spaces.
        data: fingerprint of the data.
        clips, speakers, folds: how many were tested.
        skipped: number of clips that could not be used.
        ci_level: nominal coverage of the interval.
        seen: whether frozen weights have seen the corpus: ``no``, ``yes``, or ``unknown``.
        libraries: those that made its shards and jobs, from ``libraries.listed``.
        units: what the intervals are over, see ``Manifest``.
    """

    name: str
    accuracy: float
    std_folds: float
    std_seeds: float | None
    ci_low: float
    ci_high: float
    coverage: float
    uar: float
    f1: float
    top2: float
    last_epoch: float | None
    best_test_epoch: float | None
    gap: float | None
    p_best: float | None
    without_video: float | None
    without_audio: float | None
    ece: float
    ece_scaled: float | None
    temperature: float | None
    reads: str
    reconstructed: str
    imported: str
    parameters: int
    frozen_parameters: int
    published_accuracy: float | None
    protocol: str
    seeds: str
    data: str
    clips: int
    skipped: int
    speakers: int
    folds: int
    ci_level: float
    seen: str
    libraries: str
    units: str

    @property
    def test_selected(self) -> bool:
        """Return whether the test speakers chose the epoch, so that every figure is optimistic."""
        return self.protocol == TEST_SELECTED

    @property
    def compared(self) -> bool:
        """Return whether the row is compared with others: not if it, or its frozen weights, knew the test speakers."""
        return not self.test_selected and self.seen != "yes"


def summarise(
    name: str, records: list[JobRecord], predictions: pd.DataFrame, manifest: Manifest, ci_level: float
) -> ResultRow:
    """Compute a row from the predictions of all its folds and seeds.

    Args:
        name: the row's.
        records: of its jobs.
        predictions: of all its jobs, with columns ``choice`` (of the epoch), ``fold`` and ``seed``.
        manifest: labels and folds.
        ci_level: nominal coverage of the interval.

    Raises:
        CfnsrError: the jobs differ in parameters, protocol or data.
    """
    common = _common(name, records)
    by_choice = dict(iter(predictions.groupby("choice")))
    selected = by_choice["selected"]
    accuracy = {choice: float(np.mean(part["label"] == part["predicted"])) for choice, part in by_choice.items()}
    best_test_epoch = accuracy.get("best_test_epoch")
    speakers = metrics.by_speaker(selected)
    ci_low, ci_high = significance.interval(speakers, ci_level)
    correct = selected.assign(correct=selected["label"] == selected["predicted"])
    by_fold_and_seed = correct.pivot_table(values="correct", index="fold", columns="seed", aggfunc="mean")
    std_folds, std_seeds = significance.variance_components(by_fold_and_seed.to_numpy())
    scaled, temperature = _calibrate(selected, by_choice.get(VALIDATION), manifest.labels)
    return ResultRow(
        name=name,
        **asdict(metrics.scores(selected, manifest.labels)),
        std_folds=std_folds,
        std_seeds=None if np.isnan(std_seeds) else std_seeds,
        ci_low=ci_low,
        ci_high=ci_high,
        coverage=significance.coverage(speakers, ci_level),
        last_epoch=accuracy.get("last_epoch"),
        best_test_epoch=best_test_epoch,
        gap=None if best_test_epoch is None else best_test_epoch - accuracy["selected"],
        p_best=None,
        without_video=accuracy.get("without_video"),
        without_audio=accuracy.get("without_audio"),
        ece=metrics.expected_calibration_error(selected, manifest.labels),
        ece_scaled=None if scaled is None else metrics.expected_calibration_error(scaled, manifest.labels),
        temperature=temperature,
        **{**common, "reads": " ".join(common["reads"])},
        imported=_imported(records),
        seeds=" ".join(str(seed) for seed in sorted({record.seed for record in records})),
        clips=int(speakers.clips.sum()),
        skipped=len(manifest.skipped),
        speakers=len(speakers.shares),
        folds=len(manifest.folds),
        ci_level=ci_level,
        libraries=libraries.listed([*manifest.libraries, *(record.libraries for record in records)]),
        units=manifest.units,
    )


def best_of(rows: list[ResultRow]) -> ResultRow | None:
    """Return the row of the highest accuracy; None if no row can be compared."""
    return max((row for row in rows if row.compared), key=lambda row: row.accuracy, default=None)


def relate(rows: list[ResultRow], differences: list[Difference]) -> list[ResultRow]:
    """Fill in the figures that relate a row to another: ``p_best``, and ``gap`` of test-selected rows."""
    best = best_of(rows)
    held_out = {label(TEST_SELECTED, row.name): row.accuracy for row in rows if not row.test_selected}
    p_best: dict[str, float] = {}
    for pair in differences:
        if best is not None and best.name in (pair.system, pair.other):
            p_best[pair.other if pair.system == best.name else pair.system] = pair.p_holm
    return [
        replace(row, gap=row.accuracy - held_out[row.name] if row.name in held_out else None)
        if row.test_selected
        else replace(row, p_best=p_best.get(row.name))
        for row in rows
    ]


def _common(name: str, records: list[JobRecord]) -> dict[str, Any]:
    common = {key: getattr(records[0], key) for key in _COMMON}
    differing = [key for key, value in common.items() if any(getattr(record, key) != value for record in records)]
    if differing:
        raise CfnsrError(
            name, f"its folds differ in {', '.join(differing)}", "Run `dvc repro` without `-s`, which makes them again"
        )
    return common


def _calibrate(
    selected: pd.DataFrame, validation: pd.DataFrame | None, labels: list[str]
) -> tuple[pd.DataFrame | None, float | None]:
    """Scale each job's predictions by the temperature fitted on its validation speakers; return their mean too."""
    if validation is None:
        return None, None
    of_job = dict(iter(validation.groupby(["fold", "seed"])))
    parts, temperatures = [], []
    for job, part in selected.groupby(["fold", "seed"]):
        temperatures.append(metrics.temperature(of_job[job], labels))
        parts.append(metrics.scale(part, labels, temperatures[-1]))
    return pd.concat(parts), float(np.exp(np.log(temperatures).mean()))


def _imported(records: list[JobRecord]) -> str:
    """Say which file each fold was imported from, and how its preprocessing differs from these clips'."""
    files = []
    for record in records:
        for file in record.imported if record.seed == records[0].seed else []:  # the same for every seed
            differs = f", made for other clips: {', '.join(file['differs'])}" if file["differs"] else ""
            files.append(f"{record.fold} {file['file']} (sha256 {file['sha256'][:12]}{differs})")
    return "; ".join(files)
