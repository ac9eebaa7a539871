from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.report import metrics

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


def test_recalls_by_hand() -> None:
    table = predictions(["calm", "calm", "angry"], [[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1]])
    assert metrics.recalls(table, LABELS) == {"calm": 0.5, "angry": 1.0}


def test_each_speaker_has_a_share_of_its_own() -> None:
    table = predictions(["calm"] * 4, [[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]], ["02", "01", "02", "01"])
    found = metrics.by_speaker(table.assign(clip=["a", "a", "b", "b"]))
    assert found.shares.tolist() == [1.0, 0.5] and found.clips.tolist() == [2, 2]
    assert found.noise.tolist() == [0.0, 0.25]  # 0.5 (1 - 0.5) / (2 - 1)


def test_several_seeds_count_a_clip_once_and_more_steadily() -> None:
    one = predictions(["calm"] * 4, [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]]).assign(clip=["a", "b", "c", "d"])
    other = predictions(["calm"] * 4, [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]]).assign(clip=["a", "b", "c", "d"])
    found = metrics.by_speaker(pd.concat([one, other]))
    assert found.shares.tolist() == [0.5] and found.clips.tolist() == [4]
    assert found.noise.tolist() == pytest.approx([np.var([1, 0.5, 0.5, 0], ddof=1) / 4])


@pytest.mark.parametrize("labels", [["calm"], ["calm", "angry"]])
def test_one_or_two_emotions_are_scored(labels: list[str]) -> None:
    """scikit-learn's top-k refuses them."""
    table = predictions(labels, [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0]][: len(labels)])
    found = metrics.scores(table, labels)
    assert (found.accuracy, found.top2) == (1 / len(labels), 1.0)
