"""Rows computed by hand: four speakers in two folds, each with a calm and an angry clip, and two emotions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cfnsr.data.jobs import JobRecord
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.report import rows
from cfnsr.report.differences import Difference
from cfnsr.report.rows import ResultRow
from tests.support import made_up_results

LABELS = ["calm", "angry"]
MANIFEST = replace(made_up_results.manifest(labels=LABELS), skipped={"01/x": "black"})
SPEAKERS = ("01", "02", "03", "04")
# Right and wrong clips of each speaker, the calm one first. The first two speakers are fold_1.
HALF = ("rr", "rw", "wr", "ww")
LN2 = np.log(2)


def table(correct: tuple[str, ...], choice: str = "selected", seed: int = 7) -> pd.DataFrame:
    """Predictions, each of probability 0.8; a speaker may have several pairs of clips."""
    lines = []
    for number, (actor, clips) in enumerate(zip(SPEAKERS, correct, strict=False)):
        for clip, mark in enumerate(clips):
            label, other = LABELS if clip % 2 == 0 else LABELS[::-1]
            predicted = label if mark == "r" else other
            lines.append(
                {
                    "choice": choice,
                    "actor": actor,
                    "clip": f"clip-{clip}",
                    "label": label,
                    "predicted": predicted,
                    "fold": f"fold_{1 + number // 2}",
                    "seed": seed,
                    **{f"p_{name}": 0.8 if name == predicted else 0.2 for name in LABELS},
                }
            )
    return pd.DataFrame(lines)


def records(**changes: Any) -> list[JobRecord]:
    return [made_up_results.record("audio", Trial("held_out", fold, 7), **changes) for fold in ("fold_1", "fold_2")]


def summarise(*tables: pd.DataFrame, ci_level: float = 0.5) -> ResultRow:
    return rows.summarise("audio", records(), pd.concat(tables), MANIFEST, ci_level)


def test_figures_are_those_of_the_selected_epoch() -> None:
    row = summarise(table(HALF), table(("rr",) * 4, "last_epoch"), table(("rr", "rr", "rr", "ww"), "best_test_epoch"))
    assert (row.accuracy, row.uar, row.top2) == (0.5, 0.5, 1.0)
    assert (row.last_epoch, row.best_test_epoch, row.gap) == (1.0, 0.75, 0.25)
    assert row.ece == pytest.approx(0.8 - 0.5)
    assert (row.clips, row.speakers, row.folds, row.skipped) == (8, 4, 4, 1)
    assert (row.name, row.protocol, row.reads, row.seeds, row.parameters) == ("audio", "held_out", "audio", "7", 1000)
    assert 0.3 <= row.coverage <= 0.7


def test_what_was_not_predicted_is_none() -> None:
    row = summarise(table(HALF))
    assert (row.last_epoch, row.best_test_epoch, row.gap, row.p_best) == (None,) * 4
    assert (row.without_video, row.without_audio, row.ece_scaled, row.temperature) == (None,) * 4


def test_accuracy_without_each_modality_is_its_own() -> None:
    row = summarise(table(HALF), table(("rr", "ww", "ww", "ww"), "without_video"), table(("rr",) * 4, "without_audio"))
    assert (row.without_video, row.without_audio) == (0.25, 1.0)


def test_interval_has_the_level_asked_for() -> None:
    """Shares 1, 1/2, 1/2, 0: standard error sqrt(1/6) / 2; t with three degrees of freedom."""
    for level, t in ((0.5, 0.764892), (0.8, 1.637744)):
        row = summarise(table(HALF), ci_level=level)
        half_width = t * np.sqrt(1 / 6) / 2
        assert (row.ci_low, row.ci_high) == pytest.approx((0.5 - half_width, 0.5 + half_width), abs=1e-5)
        assert row.ci_level == level


def test_temperature_is_fitted_on_validation_speakers() -> None:
    """Confidence 0.8 is a logit of 2 ln 2; right in 2 of 3 clips asks for ln 2, in 4 of 5 for 2 ln 2."""
    fold_1, fold_2 = table(("rrw",), "validation"), table(("", "", "rrrrw"), "validation")
    row = summarise(table(HALF), fold_1, fold_2)
    assert row.temperature == pytest.approx(np.sqrt(2 * 1), rel=1e-3)
    # Tested, fold_1 is right in 3 of 4 clips at confidence 2/3, fold_2 in 1 of 4 at 4/5.
    assert row.ece_scaled == pytest.approx((3 / 4 - 2 / 3) / 2 + (4 / 5 - 1 / 4) / 2, rel=1e-3)


def test_deviation_between_folds_by_hand() -> None:
    row = summarise(table(HALF))
    assert row.std_folds == pytest.approx(np.sqrt(1 / 8)) and row.std_seeds is None  # folds 3/4 and 1/4


def test_deviation_between_seeds_by_hand() -> None:
    first, second = table(("rr", "rr", "rw", "rw"), seed=7), table(("rw", "rw", "ww", "ww"), seed=8)
    both = [*records(), *(replace(record, seed=8) for record in records())]
    row = rows.summarise("audio", both, pd.concat([first, second]), MANIFEST, 0.95)
    # Folds by seeds: 1 and 1/2, 1/2 and 0. Variance of seeds: 1/8; of fold means: 1/8, of which seeds explain 1/16.
    assert (row.std_seeds, row.std_folds) == pytest.approx((np.sqrt(1 / 8), np.sqrt(1 / 16)))
    assert (row.accuracy, row.clips, row.seeds) == (0.5, 8, "7 8")


@pytest.mark.parametrize(
    "change", [{"protocol": "test_selected"}, {"parameters": 7}, {"data": "other"}, {"reads": ["audio", "video"]}]
)
def test_folds_that_differ_are_rejected(change: dict[str, Any]) -> None:
    first, second = records()
    with pytest.raises(CfnsrError, match=f"audio: its folds differ in {next(iter(change))}. Run `dvc repro"):
        rows.summarise("audio", [first, replace(second, **change)], table(HALF), MANIFEST, 0.95)


def test_imported_files_are_named_once_per_fold() -> None:
    file = {"file": "a.pth", "sha256": "0123456789abcdef", "differs": []}
    other = {**file, "differs": ["extract.video.frames was 30, is 4"]}
    first, second = records(protocol="imported", epochs=0)
    both_seeds = [replace(first, imported=[file]), replace(second, imported=[other])]
    both_seeds += [replace(record, seed=8) for record in both_seeds]
    predictions = pd.concat([table(HALF, seed=7), table(HALF, seed=8)])
    assert rows.summarise("audio", both_seeds, predictions, MANIFEST, 0.95).imported == (
        "fold_1 a.pth (sha256 0123456789ab); "
        "fold_2 a.pth (sha256 0123456789ab, made for other clips: extract.video.frames was 30, is 4)"
    )


def test_rows_are_related_to_the_best_held_out() -> None:
    row = summarise(table(HALF))
    held_out = [replace(row, name=name, accuracy=accuracy) for name, accuracy in (("a", 0.6), ("b", 0.7), ("c", 0.5))]
    selected = [
        replace(row, name=f"{name}@test_selected", accuracy=0.9, gap=0.0, protocol="test_selected") for name in "ad"
    ]
    differences = [Difference("a", "b", -0.1, 0.1, 0.3), Difference("a", "c", 0.1, 0.2, 0.4)]
    differences.append(Difference("b", "c", 0.2, 0.05, 0.15))
    for order in (held_out + selected, selected + held_out):
        related = {row.name: row for row in rows.relate(order, differences)}
        assert [related[name].p_best for name in "abc"] == [0.3, None, 0.15]
        assert related["a@test_selected"].gap == pytest.approx(0.9 - 0.6)
        assert related["d@test_selected"].gap is None and related["a@test_selected"].p_best is None
    best = rows.best_of(held_out + selected)
    assert best is not None and best.name == "b" and rows.best_of(selected) is None
    knowing = [replace(row, name="e", accuracy=1.0, seen="yes") for row in held_out[:1]]
    assert rows.best_of(held_out + knowing) == best and not knowing[0].compared
