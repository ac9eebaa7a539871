"""Against reference values, by hand, and by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cfnsr.report import significance
from cfnsr.report.significance import SpeakerAccuracy


def counted(shares: np.ndarray, clips: np.ndarray | int) -> SpeakerAccuracy:
    """Speakers of whom each clip was counted once."""
    clips = np.broadcast_to(np.asarray(clips, dtype=np.float64), shares.shape)
    return SpeakerAccuracy(shares.astype(np.float64), clips, shares * (1 - shares) / np.maximum(clips - 1, 1))


def test_interval_by_a_t_table() -> None:
    # Mean 0.75, standard deviation 0.25; t at 95 % with two degrees of freedom is 2.919986.
    low, high = significance.interval(counted(np.array([0.5, 0.75, 1.0]), 8), 0.90)
    assert (low, high) == (pytest.approx(0.75 - 2.919986 * 0.25 / np.sqrt(3), abs=1e-6), 1.0)


@given(st.lists(st.integers(1, 19), min_size=3, max_size=24).filter(lambda counts: len(set(counts)) > 1))
def test_interval_with_equal_clips_is_scipys(counts: list[int]) -> None:
    shares = np.array(counts) / 20
    expected = stats.t.interval(0.95, len(shares) - 1, shares.mean(), stats.sem(shares))
    low, high = significance.interval(counted(shares, 20), 0.95)
    assert (low, high) == pytest.approx(np.clip(expected, 0, 1))


def test_interval_weighs_speakers_by_clips() -> None:
    """By hand: accuracy (9 + 2) / 14; residuals n / mean(n) x (share - accuracy)."""
    speakers = counted(np.array([0.9, 0.5]), np.array([10, 4]))
    accuracy = 11 / 14
    residuals = np.array([10 / 7 * (0.9 - accuracy), 4 / 7 * (0.5 - accuracy)])
    assert residuals.sum() == pytest.approx(0)
    error = np.sqrt((residuals**2).sum() / 2)
    low, high = significance.interval(speakers, 0.5)
    assert (low, high) == pytest.approx((accuracy - error, min(accuracy + error, 1)))  # t at 75 %, one degree: 1


@pytest.mark.parametrize(
    ("speakers", "clips", "skill", "deviation", "level"),
    [(8, 16, 0.6, 0.1, 0.95), (24, 60, 0.7, 0.12, 0.95), (8, 16, 0.6, 0.1, 0.8)],
)
@pytest.mark.parametrize("uneven", [False, True])
def test_intervals_cover_as_often_as_stated(
    speakers: int, clips: int, skill: float, deviation: float, level: float, uneven: bool
) -> None:
    """Another simulation than the one tested: normal skills, intervals one by one."""
    random = np.random.default_rng(3)
    covered, stated = 0, []
    each = clips * (1 + uneven * (np.arange(speakers) % 2))
    for number in range(600):
        shares = random.binomial(each, np.clip(random.normal(skill, deviation, speakers), 0, 1)) / each
        low, high = significance.interval(counted(shares, each), level)
        covered += low <= skill <= high
        if number < 30:
            stated.append(significance.coverage(counted(shares, each), level, runs=1000, seed=number))
    assert covered / 600 == pytest.approx(np.mean(stated), abs=0.035)
    assert level - 0.035 <= np.mean(stated) <= level + 0.025


@pytest.mark.parametrize(("clips", "seeds"), [(4, 1), (16, 1), (8, 5)])
def test_skill_distribution_recovers_variance_beyond_counting(clips: int, seeds: int) -> None:
    random = np.random.default_rng(4)
    variances = []
    for _ in range(40):
        skill = np.clip(random.normal(0.5, 0.1, 400), 0, 1)
        correct = random.random((400, clips, seeds)) < skill[:, None, None]
        of_clip = correct.mean(axis=2)
        counting_variance = of_clip.var(axis=1, ddof=1) / clips
        speakers = SpeakerAccuracy(of_clip.mean(axis=1), np.full(400, float(clips)), counting_variance)
        variances.append(stats.beta(*significance.skill_distribution(speakers)).var())
    assert np.mean(variances) == pytest.approx(0.01, rel=0.1)


def test_coverage_falls_with_too_narrow_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    speakers = counted(np.array([0.5, 0.55, 0.7, 0.6, 0.65, 0.4, 0.75, 0.6]), 16)
    correct = significance.coverage(speakers, 0.95)
    exact = stats.t.ppf
    monkeypatch.setattr(stats.t, "ppf", lambda level, freedom: exact(level, freedom) / 2)
    assert significance.coverage(speakers, 0.95) < correct - 0.1


@pytest.mark.parametrize("shares", [np.zeros(8), np.ones(8), np.full(8, 0.5)])
def test_coverage_is_defined_for_equal_speakers(shares: np.ndarray) -> None:
    assert 0 <= significance.coverage(counted(shares, 16), 0.95) <= 1
    assert 0 <= significance.coverage(counted(shares, 1), 0.95) <= 1


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=8))
def test_p_value_counts_every_permutation(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(side) / 8 for side in zip(*pairs, strict=True))
    signs = np.array(list(product([1, -1], repeat=len(first))))
    means = (signs * (first - second)).mean(axis=1)
    expected = (np.abs(means) >= abs((first - second).mean()) - 1e-12).mean()
    assert significance.permutation_p_value(first, second) == pytest.approx(min(expected, 1.0))


def test_p_value_is_rarely_small_without_difference() -> None:
    random = np.random.default_rng(5)
    small = [
        significance.permutation_p_value(*(random.normal(0.6, 0.1, (2, 12)) + random.normal(0, 0.1, 12))) <= 0.05
        for _ in range(300)
    ]
    assert 0.02 <= np.mean(small) <= 0.08


def test_p_value_of_many_speakers_is_reproducible() -> None:
    random = np.random.default_rng(5)
    first, second = random.normal(0.6, 0.1, (2, 24))
    p_values = {significance.permutation_p_value(first, second) for _ in range(2)}
    assert len(p_values) == 1
    assert significance.permutation_p_value(first + 1, second) < 0.001


def test_holm_by_hand() -> None:
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.5, 0.6]) == [1.0, 1.0]
    assert significance.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_order_and_stays_below_bonferroni(values: list[float]) -> None:
    corrected = significance.holm(values)
    for (first, first_holm), (second, second_holm) in product(zip(values, corrected, strict=True), repeat=2):
        assert first <= first_holm <= min(1, first * len(values)) + 1e-12
        assert first_holm <= second_holm or first > second or first == second


def choices_of_equal_rows(rows: int, random: np.random.Generator) -> tuple[float, float]:
    """Simulate rows of equal skill; return by how much the chosen one's test accuracy is too high, and the estimate."""
    skill = random.beta(12, 8, (1, 24)) - 0.6  # of speakers, the same for all rows
    luck = random.normal(0, 0.08, (rows, 24))  # of a row with a speaker, who validates and tests
    validated, tested = (0.6 + skill + luck + random.normal(0, 0.04, (rows, 24)) for _ in range(2))
    too_high = tested[validated.mean(axis=1).argmax()].mean() - (0.6 + skill.mean())
    return too_high, significance.selection_optimism(validated, tested, np.full(24, 60.0), runs=300)


def test_selection_optimism_by_simulation() -> None:
    random = np.random.default_rng(5)
    too_high, estimated = np.mean([choices_of_equal_rows(9, random) for _ in range(300)], axis=0)
    assert 0.015 < too_high < 0.03 and estimated == pytest.approx(too_high, rel=0.3)
    _, of_one = np.mean([choices_of_equal_rows(1, random) for _ in range(100)], axis=0)
    assert abs(of_one) < 0.001


def test_clearly_best_row_has_no_optimism() -> None:
    shares = np.random.default_rng(2).normal([[0.3], [0.6], [0.9]], 0.02, (3, 24))
    assert abs(significance.selection_optimism(shares, shares, np.full(24, 60.0))) < 0.001


def test_variance_components_by_hand() -> None:
    folds, seeds = significance.variance_components(np.array([[0.5, 0.7], [0.6, 0.8], [0.9, 0.7]]))
    assert seeds == pytest.approx(np.sqrt(0.02))
    # Means 0.6, 0.7, 0.8: variance 0.01, of which the seeds explain 0.02 / 2.
    assert folds == pytest.approx(0.0, abs=1e-6)
    folds, _ = significance.variance_components(np.array([[0.5, 0.7], [0.6, 0.8], [1.0, 0.8]]))
    assert folds == pytest.approx(np.sqrt(0.07 / 3 - 0.01))


def test_variance_components_by_simulation() -> None:
    random = np.random.default_rng(1)
    variances = [
        np.square(significance.variance_components(random.normal(0, 0.3, (12, 1)) + random.normal(0, 0.2, (12, 4))))
        for _ in range(400)
    ]
    assert np.mean(variances, axis=0) == pytest.approx([0.09, 0.04], rel=0.1)


def test_one_seed_has_no_deviation_between_seeds() -> None:
    folds, seeds = significance.variance_components(np.array([[0.5], [0.7]]))
    assert folds == pytest.approx(np.sqrt(0.02)) and np.isnan(seeds)
