from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.report import calibration
from tests.test_metrics import LABELS, predictions


def test_the_error_by_hand() -> None:
    """Two bins are used: 0.6 to 0.667 with accuracy 1/2, and 0.8 to 0.867 with accuracy 1."""
    table = predictions(
        ["calm", "calm", "calm"],
        [[0.62, 0.3, 0.08], [0.1, 0.64, 0.26], [0.85, 0.1, 0.05]],
    )
    expected = (2 * abs(0.5 - 0.63) + 1 * abs(1 - 0.85)) / 3
    assert calibration.error(table, LABELS) == pytest.approx(expected)


@given(st.integers(0, 2**31), st.integers(1, 60))
def test_the_error_is_that_of_a_loop_over_bins(seed: int, clips: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(3), clips)
    table = predictions([LABELS[one] for one in random.integers(0, 3, clips)], probabilities.tolist())
    right = (table["label"] == table["predicted"]).to_numpy()
    confidence = probabilities.max(axis=1)
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration.error(table, LABELS) == pytest.approx(expected, abs=1e-9)


def test_a_network_that_knows_how_sure_it_is_has_little_error() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 20000)
    labels = [LABELS[random.choice(3, p=one)] for one in probabilities]
    assert calibration.error(predictions(labels, probabilities.tolist()), LABELS) < 0.02


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_an_overconfidence(overconfidence: float) -> None:
    random = np.random.default_rng(1)
    log_probs = np.log(random.dirichlet(np.ones(3), 20000))
    labels = [LABELS[random.choice(3, p=np.exp(one))] for one in log_probs]
    bold = np.exp(overconfidence * log_probs)
    table = predictions(labels, (bold / bold.sum(axis=1, keepdims=True)).tolist())
    found = calibration.temperature(table, LABELS)
    assert found == pytest.approx(overconfidence, rel=0.05)
    cooled = calibration.scaled(table, LABELS, found)
    columns = [f"p_{label}" for label in LABELS]
    assert np.allclose(cooled[columns].sum(axis=1), 1)
    assert (cooled[columns].to_numpy().argmax(axis=1) == table[columns].to_numpy().argmax(axis=1)).all()
    assert calibration.error(cooled, LABELS) < 0.02


def test_certainty_has_a_temperature() -> None:
    sure: pd.DataFrame = predictions(["calm", "angry"], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert 0.05 <= calibration.temperature(sure, LABELS) <= 20
    wrong = predictions(["angry", "calm"], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert calibration.temperature(wrong, LABELS) == pytest.approx(20, rel=0.01)
