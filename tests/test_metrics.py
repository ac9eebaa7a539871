from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr import metrics

LABELS = ["calm", "angry", "happy"]


def predictions(actual: list[str], probabilities: list[list[float]], actors: list[str] | None = None) -> pd.DataFrame:
    values = np.array(probabilities)
    table = pd.DataFrame(
        {
            "label": actual,
            "predicted": [LABELS[best] for best in values.argmax(axis=1)],
            "actor": actors or ["01"] * len(actual),
        }
    )
    table[[f"p_{label}" for label in LABELS]] = values
    return table


def test_scores_by_hand() -> None:
    found = metrics.scores(
        predictions(
            ["calm", "calm", "calm", "angry"], [[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7]]
        ),
        LABELS,
    )
    assert found.accuracy == 2 / 4
    assert found.uar == pytest.approx((2 / 3 + 0) / 2)  # happy has no clip and does not count
    assert found.f1 == pytest.approx((2 * 2 / (2 * 2 + 1) + 0) / 2)
    assert found.top2 == 1.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_perfect_is_one_and_everything_lies_between(pairs: list[tuple[int, int]]) -> None:
    actual = [LABELS[true] for true, _ in pairs]
    right = metrics.scores(predictions(actual, [np.eye(3)[true].tolist() for true, _ in pairs]), LABELS)
    assert (right.accuracy, right.uar, right.f1, right.top2) == (1, 1, 1, 1)
    found = metrics.scores(predictions(actual, [np.eye(3)[guess].tolist() for _, guess in pairs]), LABELS)
    assert 0 <= found.accuracy <= found.top2 <= 1 and 0 <= found.uar <= 1


def test_interval_is_students_t_over_speakers() -> None:
    # Three speakers with 1/2, 3/4 and 1 right of four clips: mean 0.75, deviation 0.25.
    right = [True, True, False, False, True, True, True, False, True, True, True, True]
    table = predictions(
        ["calm"] * 12, [[1, 0, 0] if one else [0, 1, 0] for one in right], ["01"] * 4 + ["02"] * 4 + ["03"] * 4
    )
    low, high = metrics.interval(table, 0.90)
    reach = 2.919986 * 0.25 / np.sqrt(3)  # t at 95 % with two degrees of freedom, from a table
    assert (low, high) == (pytest.approx(0.75 - reach, abs=1e-5), 1.0)


def test_interval_covers_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        skill = np.clip(random.normal(0.6, 0.1, 8), 0, 1)
        right = random.random((8, 16)) < skill[:, None]
        table = predictions(
            ["calm"] * 128,
            [[1, 0, 0] if one else [0, 1, 0] for one in right.ravel()],
            np.repeat([f"{n:02d}" for n in range(8)], 16).tolist(),
        )
        low, high = metrics.interval(table, 0.95)
        covered += low <= 0.6 <= high
    assert 0.92 <= covered / 400 <= 0.98
