"""A system's predictions in all trials -> its line of the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import calibration, metrics, significance
from cfnsr.report.rows import Difference, ResultRow, label


def pooled(
    name: str, cells: list[dict[str, Any]], predictions: pd.DataFrame, manifest: Manifest, level: float
) -> ResultRow:
    """Pool a system's folds and seeds into its line.

    Args:
        name: the row's.
        cells: its trials' accounts.
        predictions: its trials' tables, with columns ``fold`` and ``seed``.
        manifest: what the data are.
        level: of the interval.

    Raises:
        CfnsrError: the trials differ in what they should share: parameters, protocol or data.
    """
    common = {
        key: cells[0][key] for key in ("parameters", "protocol", "data", "reads", "reconstructed", "published_accuracy")
    }
    if any({**cell, **common} != cell for cell in cells):
        raise CfnsrError(name, f"its folds differ in {', '.join(common)}", "Run `dvc repro -f train`")
    chosen = dict(iter(predictions.groupby("choice")))
    selected = chosen["selected"]
    scores = {
        choice: metrics.scores(part, manifest.labels) for choice, part in chosen.items() if choice != "validation"
    }
    speakers = metrics.by_speaker(selected)
    low, high = significance.interval(speakers, level)
    folds, seeds = significance.spread(_by_fold_and_seed(selected))
    scaled, temperature = _calibrated(selected, chosen.get("validation"), manifest.labels)
    return ResultRow(
        name=name,
        **asdict(scores["selected"]),
        deviation=folds,
        seed_deviation=None if np.isnan(seeds) else seeds,
        low=low,
        high=high,
        coverage=significance.coverage(speakers, level),
        ece=calibration.error(selected, manifest.labels),
        ece_scaled=None if scaled is None else calibration.error(scaled, manifest.labels),
        temperature=temperature,
        **{
            choice: scores[choice].accuracy if choice in scores else None
            for choice in ("last_epoch", "best_test_epoch", "without_video", "without_audio")
        },
        gap=scores["best_test_epoch"].accuracy - scores["selected"].accuracy if "best_test_epoch" in scores else None,
        imported="; ".join(
            _told(cell["fold"], file)
            for cell in cells
            if cell["seed"] == cells[0]["seed"]  # the same for every other
            for file in cell["imported"]
        ),
        **{**common, "reads": " ".join(common["reads"])},
        seeds=" ".join(str(seed) for seed in sorted({cell["seed"] for cell in cells})),
        clips=int(speakers.clips.sum()),
        skipped=len(manifest.skipped),
        speakers=len(speakers.shares),
        folds=len(manifest.folds),
        level=level,
    )


def compare(predicted: dict[str, pd.DataFrame]) -> Iterator[Difference]:
    """Whether any two rows differ: permutation tests by speaker, corrected for there being many (Holm).

    Args:
        predicted: by row, its predictions of the same speakers.
    """
    shares = {name: metrics.by_speaker(chosen).shares for name, chosen in predicted.items()}
    pairs = list(combinations(shares, 2))
    tested = [significance.difference(shares[one], shares[other]) for one, other in pairs]
    for (one, other), p, corrected in zip(pairs, tested, significance.holm(tested), strict=True):
        yield Difference(one, other, float((shares[one] - shares[other]).mean()), p, corrected)


def beside_held_out(lines: list[ResultRow]) -> list[ResultRow]:
    """A published row, which has no validation speakers, is as optimistic as it lies above the row that has some."""
    held_out = {line.name: line.accuracy for line in lines if not line.published}
    gaps = {label("test_selected", name): accuracy for name, accuracy in held_out.items()}
    return [
        replace(line, gap=line.accuracy - gaps[line.name] if line.name in gaps else None) if line.published else line
        for line in lines
    ]


def _calibrated(
    selected: pd.DataFrame, validation: pd.DataFrame | None, labels: list[str]
) -> tuple[pd.DataFrame | None, float | None]:
    """Each trial's predictions at the temperature that its validation speakers ask for, and these in the mean."""
    if validation is None:
        return None, None
    asked = dict(iter(validation.groupby(["fold", "seed"])))
    parts, temperatures = [], []
    for trial, part in selected.groupby(["fold", "seed"]):
        temperatures.append(calibration.temperature(asked[trial], labels))
        parts.append(calibration.scaled(part, labels, temperatures[-1]))
    return pd.concat(parts), float(np.exp(np.log(temperatures).mean()))


def _by_fold_and_seed(selected: pd.DataFrame) -> np.ndarray:
    right = selected.assign(right=selected["label"] == selected["predicted"])
    return right.pivot_table(values="right", index="fold", columns="seed", aggfunc="mean").to_numpy()


def _told(fold: str, file: dict[str, Any]) -> str:
    """Where imported weights came from, and how the clips differ from those they know."""
    differs = f", made for other clips: {', '.join(file['differs'])}" if file["differs"] else ""
    return f"{fold} {file['file']} (sha256 {file['sha256'][:12]}{differs})"
