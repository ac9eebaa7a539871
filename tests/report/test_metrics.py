from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score, top_k_accuracy_score

from cfnsr.report import metrics

LABELS = ["calm", "angry", "happy"]
COLUMNS = [f"p_{label}" for label in LABELS]


def predictions(actual: list[str], probabilities: list[list[float]], actors: list[str] | None = None) -> pd.DataFrame:
    values = np.array(probabilities)
    table = pd.DataFrame(
        {
            "label": actual,
            "predicted": [LABELS[best] for best in values.argmax(axis=1)],
            "actor": actors or ["01"] * len(actual),
        }
    )
    table[COLUMNS] = values
    return table


def drawn(random: np.random.Generator, clips: int) -> pd.DataFrame:
    labels = [LABELS[number] for number in random.integers(0, 3, clips)]
    return predictions(labels, random.dirichlet(np.ones(3), clips).tolist())


def test_scores_by_hand() -> None:
    scores = metrics.scores(
        predictions(
            ["calm", "calm", "calm", "angry"], [[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7]]
        ),
        LABELS,
    )
    assert scores.accuracy == 2 / 4
    assert scores.uar == pytest.approx((2 / 3 + 0) / 2)  # happy has no clip and does not count
    assert scores.f1 == pytest.approx((2 * 2 / (2 * 2 + 1) + 0) / 2)
    assert scores.top2 == 1.0


@given(st.integers(0, 2**31))
def test_scores_equal_those_of_scikit_learn(seed: int) -> None:
    table = drawn(np.random.default_rng(seed), 60)
    scores, actual, predicted = metrics.scores(table, LABELS), table["label"], table["predicted"]
    classes = actual.map(LABELS.index)
    assert scores.accuracy == pytest.approx(accuracy_score(actual, predicted))
    assert scores.uar == pytest.approx(recall_score(actual, predicted, average="macro"))
    assert scores.f1 == pytest.approx(f1_score(actual, predicted, average="macro"))
    assert scores.top2 == pytest.approx(top_k_accuracy_score(classes, table[COLUMNS], k=2, labels=[0, 1, 2]))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_perfect_predictions_score_one(pairs: list[tuple[int, int]]) -> None:
    actual = [LABELS[true] for true, _ in pairs]
    perfect = metrics.scores(predictions(actual, [np.eye(3)[true].tolist() for true, _ in pairs]), LABELS)
    assert (perfect.accuracy, perfect.uar, perfect.f1, perfect.top2) == (1, 1, 1, 1)
    scores = metrics.scores(predictions(actual, [np.eye(3)[guess].tolist() for _, guess in pairs]), LABELS)
    assert 0 <= scores.accuracy <= scores.top2 <= 1 and 0 <= scores.uar <= 1


@pytest.mark.parametrize("labels", [["calm"], ["calm", "angry"]])
def test_one_or_two_emotions_are_scored(labels: list[str]) -> None:
    """scikit-learn's top-k score rejects them."""
    table = predictions(labels, [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0]][: len(labels)])
    scores = metrics.scores(table, labels)
    assert (scores.accuracy, scores.top2) == (1 / len(labels), 1.0)


def test_recalls_by_hand() -> None:
    table = predictions(["calm", "calm", "angry"], [[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1]])
    assert metrics.recalls(table, LABELS) == {"calm": 0.5, "angry": 1.0}


def test_each_speaker_has_its_own_share() -> None:
    table = predictions(["calm"] * 4, [[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]], ["02", "01", "02", "01"])
    speakers = metrics.by_speaker(table.assign(clip=["a", "a", "b", "b"]))
    assert speakers.shares.tolist() == [1.0, 0.5] and speakers.clips.tolist() == [2, 2]
    assert speakers.counting_variance.tolist() == [0.0, 0.25]  # 0.5 (1 - 0.5) / (2 - 1)


def test_several_seeds_count_a_clip_once() -> None:
    first = predictions(["calm"] * 4, [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]]).assign(clip=["a", "b", "c", "d"])
    second = predictions(["calm"] * 4, [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]]).assign(clip=["a", "b", "c", "d"])
    speakers = metrics.by_speaker(pd.concat([first, second]))
    assert speakers.shares.tolist() == [0.5] and speakers.clips.tolist() == [4]
    assert speakers.counting_variance.tolist() == pytest.approx([np.var([1, 0.5, 0.5, 0], ddof=1) / 4])


def test_calibration_error_by_hand() -> None:
    """Two bins are used: 0.6 to 0.667 with accuracy 1/2, and 0.8 to 0.867 with accuracy 1."""
    table = predictions(["calm", "calm", "calm"], [[0.62, 0.3, 0.08], [0.1, 0.64, 0.26], [0.85, 0.1, 0.05]])
    expected = (2 * abs(0.5 - 0.63) + 1 * abs(1 - 0.85)) / 3
    assert metrics.expected_calibration_error(table, LABELS) == pytest.approx(expected)
    bins = metrics.reliability_bins(table, LABELS)
    assert bins.to_dict("list") == {
        "confidence": [pytest.approx(0.63), 0.85], "accuracy": [0.5, 1.0], "clips": [2, 1],
    }  # fmt: skip


@given(st.integers(0, 2**31), st.integers(1, 60))
def test_calibration_error_equals_a_loop_over_bins(seed: int, clips: int) -> None:
    table = drawn(np.random.default_rng(seed), clips)
    correct = (table["label"] == table["predicted"]).to_numpy()
    confidence = table[COLUMNS].to_numpy().max(axis=1)
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert metrics.expected_calibration_error(table, LABELS) == pytest.approx(expected, abs=1e-9)


def test_calibrated_predictions_have_little_error() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 20000)
    labels = [LABELS[random.choice(3, p=shares)] for shares in probabilities]
    assert metrics.expected_calibration_error(predictions(labels, probabilities.tolist()), LABELS) < 0.02


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 3.0])
def test_temperature_undoes_overconfidence(overconfidence: float) -> None:
    random = np.random.default_rng(1)
    log_probs = np.log(random.dirichlet(np.ones(3), 20000))
    labels = [LABELS[random.choice(3, p=np.exp(row))] for row in log_probs]
    sharper = np.exp(overconfidence * log_probs)
    table = predictions(labels, (sharper / sharper.sum(axis=1, keepdims=True)).tolist())
    temperature = metrics.temperature(table, LABELS)
    assert temperature == pytest.approx(overconfidence, rel=0.05)
    scaled = metrics.scale(table, LABELS, temperature)
    assert np.allclose(scaled[COLUMNS].sum(axis=1), 1)
    assert (scaled[COLUMNS].to_numpy().argmax(axis=1) == table[COLUMNS].to_numpy().argmax(axis=1)).all()
    assert metrics.expected_calibration_error(scaled, LABELS) < 0.02


def test_certain_predictions_have_a_bounded_temperature() -> None:
    correct = predictions(["calm", "angry"], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert 0.05 <= metrics.temperature(correct, LABELS) <= 20
    wrong = predictions(["angry", "calm"], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert metrics.temperature(wrong, LABELS) == pytest.approx(20, rel=0.01)
