"""Against reference values, by hand, and by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.report import significance
from cfnsr.report.significance import Speakers


def counted(shares: np.ndarray, clips: np.ndarray | int) -> Speakers:
    """Speakers of whom each clip was counted once."""
    clips = np.broadcast_to(np.asarray(clips, dtype=np.float64), shares.shape)
    return Speakers(shares.astype(np.float64), clips, shares * (1 - shares) / np.maximum(clips - 1, 1))


def test_interval_by_a_table() -> None:
    # Mean 0.75, deviation 0.25; t at 95 % with two degrees of freedom is 2.919986.
    low, high = significance.interval(counted(np.array([0.5, 0.75, 1.0]), 8), 0.90)
    assert (low, high) == (pytest.approx(0.75 - 2.919986 * 0.25 / np.sqrt(3), abs=1e-6), 1.0)


def test_the_interval_is_of_the_accuracy_where_speakers_have_unequal_numbers_of_clips() -> None:
    """By hand: accuracy (9 + 2) / 14; residuals n / mean(n) x (share - accuracy)."""
    speakers = counted(np.array([0.9, 0.5]), np.array([10, 4]))
    accuracy = 11 / 14
    away = np.array([10 / 7 * (0.9 - accuracy), 4 / 7 * (0.5 - accuracy)])
    assert away.sum() == pytest.approx(0)
    error = np.sqrt((away**2).sum() / 2)
    low, high = significance.interval(speakers, 0.5)
    assert (low, high) == pytest.approx((accuracy - error, min(accuracy + error, 1)))  # t at 75 %, one degree: 1


@pytest.mark.parametrize(
    ("speakers", "clips", "skill", "deviation", "level"),
    [(8, 16, 0.6, 0.1, 0.95), (24, 60, 0.7, 0.12, 0.95), (8, 16, 0.6, 0.1, 0.8)],
)
@pytest.mark.parametrize("uneven", [False, True])
def test_intervals_cover_what_the_simulation_says(
    speakers: int, clips: int, skill: float, deviation: float, level: float, uneven: bool
) -> None:
    """Another simulation than the one tested: normal skills, intervals one by one."""
    random = np.random.default_rng(3)
    held, told = 0, []
    each = clips * (1 + uneven * (np.arange(speakers) % 2))
    for number in range(600):
        shares = random.binomial(each, np.clip(random.normal(skill, deviation, speakers), 0, 1)) / each
        low, high = significance.interval(counted(shares, each), level)
        held += low <= skill <= high
        if number < 30:
            told.append(significance.coverage(counted(shares, each), level, runs=1000, seed=number))
    assert held / 600 == pytest.approx(np.mean(told), abs=0.035)
    assert level - 0.035 <= np.mean(told) <= level + 0.025


def test_the_spread_beyond_counting_is_found_whatever_the_number_of_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The beta distribution that skills are drawn from has the variance that they were made with, 0.01."""
    random = np.random.default_rng(4)
    drawn = np.random.default_rng
    found: list[float] = []

    class Noted:
        def __init__(self, seed: int) -> None:
            self._random = drawn(seed)

        def beta(self, a: float, b: float, size: tuple[int, int]) -> np.ndarray:
            found.append(a * b / ((a + b) ** 2 * (a + b + 1)))
            return self._random.beta(a, b, size)

        def binomial(self, *given: np.ndarray) -> np.ndarray:
            return self._random.binomial(*given)

    for clips, seeds in ((4, 1), (16, 1), (8, 5)):
        found.clear()
        for _ in range(40):
            skill = np.clip(random.normal(0.5, 0.1, 400), 0, 1)
            right = random.random((400, clips, seeds)) < skill[:, None, None]
            of_clip = right.mean(axis=2)
            speakers = Speakers(of_clip.mean(axis=1), np.full(400, float(clips)), of_clip.var(axis=1, ddof=1) / clips)
            with monkeypatch.context() as patch:
                patch.setattr(significance.np.random, "default_rng", Noted)
                significance.coverage(speakers, 0.95, runs=1)
        assert np.mean(found) == pytest.approx(0.01, rel=0.1)


def test_coverage_falls_where_an_interval_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    speakers = counted(np.array([0.5, 0.55, 0.7, 0.6, 0.65, 0.4, 0.75, 0.6]), 16)
    honest = significance.coverage(speakers, 0.95)
    exact = significance.stats.t.ppf
    monkeypatch.setattr(significance.stats.t, "ppf", lambda level, freedom: exact(level, freedom) / 2)
    assert significance.coverage(speakers, 0.95) < honest - 0.1


@pytest.mark.parametrize("shares", [np.zeros(8), np.ones(8), np.full(8, 0.5)])
def test_coverage_has_a_value_where_speakers_do_not_differ(shares: np.ndarray) -> None:
    assert 0 <= significance.coverage(counted(shares, 16), 0.95) <= 1
    assert 0 <= significance.coverage(counted(shares, 1), 0.95) <= 1


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=8))
def test_the_difference_counts_every_permutation(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(side) / 8 for side in zip(*pairs, strict=True))
    signs = np.array(list(product([1, -1], repeat=len(one))))
    means = (signs * (one - other)).mean(axis=1)
    expected = (np.abs(means) >= abs((one - other).mean()) - 1e-12).mean()
    assert significance.difference(one, other) == pytest.approx(min(expected, 1.0))


def test_the_difference_is_rarely_small_where_there_is_none() -> None:
    random = np.random.default_rng(5)
    small = [
        significance.difference(*(random.normal(0.6, 0.1, (2, 12)) + random.normal(0, 0.1, 12))) <= 0.05
        for _ in range(300)
    ]
    assert 0.02 <= np.mean(small) <= 0.08


def test_the_difference_of_many_speakers_is_drawn_the_same_each_time() -> None:
    random = np.random.default_rng(5)
    one, other = random.normal(0.6, 0.1, (2, 24))
    assert significance.difference(one, other) == significance.difference(one, other)
    assert significance.difference(one + 1, other) < 0.001


def test_holm_by_hand() -> None:
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.5, 0.6]) == [1.0, 1.0]
    assert significance.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni(values: list[float]) -> None:
    corrected = significance.holm(values)
    for (one, fixed), (other, refixed) in product(zip(values, corrected, strict=True), repeat=2):
        assert one <= fixed <= min(1, one * len(values)) + 1e-12
        assert fixed <= refixed or one > other or one == other


def test_spread_by_hand() -> None:
    figures = np.array([[0.5, 0.7], [0.6, 0.8], [0.9, 0.7]])
    fold, seed = significance.spread(figures)
    assert seed == pytest.approx(np.sqrt(0.02))
    # Means 0.6, 0.7, 0.8: variance 0.01, of which the seeds explain 0.02 / 2.
    assert fold == pytest.approx(0.0, abs=1e-6)
    fold, seed = significance.spread(np.array([[0.5, 0.7], [0.6, 0.8], [1.0, 0.8]]))
    assert fold == pytest.approx(np.sqrt(0.07 / 3 - 0.01))


def test_spread_by_simulation() -> None:
    random = np.random.default_rng(1)
    found = [
        np.square(significance.spread(random.normal(0, 0.3, (12, 1)) + random.normal(0, 0.2, (12, 4))))
        for _ in range(400)
    ]
    assert np.mean(found, axis=0) == pytest.approx([0.09, 0.04], rel=0.1)


def test_one_seed_tells_nothing_of_seeds() -> None:
    fold, seed = significance.spread(np.array([[0.5], [0.7]]))
    assert fold == pytest.approx(np.sqrt(0.02)) and np.isnan(seed)
