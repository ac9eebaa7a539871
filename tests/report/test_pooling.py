"""A row's figures, each from the predictions that it should be of, and by the arithmetic that it should have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Speakers
from cfnsr.report import calibration, metrics, pooling, significance, table
from cfnsr.report.rows import Difference, ResultRow

LABELS = ["calm", "angry", "happy"]
SOMEBODY = Speakers(("01",), ("02",), ("03",))
GATE = Manifest("made_up", LABELS, {"held_out": {"fold_1": SOMEBODY, "fold_2": SOMEBODY}}, {}, {}, {}, {}, "data", {})
CELL: dict[str, Any] = {
    "parameters": 3,
    "protocol": "held_out",
    "data": "data",
    "reads": ["audio"],
    "reconstructed": "",
    "published_accuracy": None,
    "imported": [],
    "seed": 7,
    "fold": "fold_1",
}


def predicted(skill: float, sharpness: float, choice: str, seed: int, actors: int = 6) -> pd.DataFrame:
    """Twenty clips a speaker, of whom a share ``skill`` is right, with probabilities as sharp as said."""
    random = np.random.default_rng(seed)
    rows = []
    for actor in range(actors):
        for clip in range(20):
            true = int(random.integers(3))
            best = true if random.random() < skill else (true + 1) % 3
            logits = sharpness * (np.arange(3) == best) + random.normal(0, 0.3, 3)
            probabilities = np.exp(logits) / np.exp(logits).sum()
            rows.append(
                {
                    "choice": choice,
                    "clip": f"clip-{clip}",
                    "actor": f"{actor:02}",
                    "label": LABELS[true],
                    "predicted": LABELS[int(probabilities.argmax())],
                    "fold": f"fold_{1 + actor % 2}",
                    "seed": 7,
                    **{f"p_{label}": value for label, value in zip(LABELS, probabilities, strict=True)},
                }
            )
    return pd.DataFrame(rows)


def pooled(level: float = 0.95) -> tuple[ResultRow, pd.DataFrame, pd.DataFrame]:
    """A row of predictions that are unsure where tested and far too sure where validated."""
    tested, validated = predicted(0.8, 1.0, "selected", 1), predicted(0.5, 9.0, "validation", 2)
    others = [predicted(0.1, 5.0, "last_epoch", 3), predicted(0.99, 5.0, "best_test_epoch", 4)]
    everything = pd.concat([tested, validated, *others])
    return pooling.pooled("one", [CELL, {**CELL, "fold": "fold_2"}], everything, GATE, level), tested, validated


def test_the_temperature_is_that_of_the_validation_speakers() -> None:
    line, tested, validated = pooled()
    asked = [calibration.temperature(part, LABELS) for _, part in validated.groupby("fold")]
    theirs = [calibration.temperature(part, LABELS) for _, part in tested.groupby("fold")]
    assert line.temperature == pytest.approx(np.exp(np.log(asked).mean())) and min(asked) > 2 * max(theirs)
    parts = [calibration.scaled(part, LABELS, by) for (_, part), by in zip(tested.groupby("fold"), asked, strict=True)]
    assert line.ece_scaled == pytest.approx(calibration.error(pd.concat(parts), LABELS))


def test_figures_are_of_the_selected_epoch_alone() -> None:
    line, tested, _ = pooled()
    assert line.ece == pytest.approx(calibration.error(tested, LABELS))
    assert line.accuracy == metrics.scores(tested, LABELS).accuracy
    speakers = metrics.by_speaker(tested)
    assert line.coverage == significance.coverage(speakers, 0.95)
    assert (line.clips, line.speakers) == (120, 6)


def test_the_interval_has_the_level_asked_for() -> None:
    line, tested, _ = pooled(level=0.5)
    assert (line.low, line.high) == significance.interval(metrics.by_speaker(tested), 0.5)
    wide, *_ = pooled(level=0.95)
    assert wide.high - wide.low > 2 * (line.high - line.low)


def test_differences_have_a_sign_and_are_corrected_for_being_many() -> None:
    tables = {name: predicted(skill, 3.0, "selected", 5) for name, skill in (("a", 0.9), ("b", 0.6), ("c", 0.58))}
    found = {(one.one, one.other): one for one in pooling.compare(tables)}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    shares = {name: metrics.by_speaker(one).shares for name, one in tables.items()}
    raw = []
    for (one, other), told in found.items():
        assert told.difference == pytest.approx(np.mean(shares[one] - shares[other]))
        assert told.p == significance.difference(shares[one], shares[other])
        raw.append(told.p)
    assert found["a", "b"].difference > 0.1
    assert [one.p_holm for one in found.values()] == significance.holm(raw) != raw


def test_the_footnote_tells_what_survives_the_correction() -> None:
    line, *_ = pooled()
    differences = [Difference("a", "b", -0.2, 0.01, 0.03), Difference("a", "c", 0.2, 0.04, 0.08)]
    (note,) = [one for one in table.footnotes([line], differences, "made_up") if "Holm" in one]
    assert "a below b by 20.0 (p 0.030)" in note and " c " not in note
