"""Confidence intervals over speakers, their simulated coverage, and tests between two systems.

Speakers are the independent units: the clips of one speaker resemble each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PerSpeaker = Float[np.ndarray, " speaker"]


@dataclass(frozen=True)
class SpeakerAccuracy:
    """The accuracy of each test speaker.

    Attributes:
        shares: share of the speaker's clips that are predicted correctly, 0 to 1.
        clips: how many the speaker has.
        counting_variance: variance of the share that comes from the small number of clips.
    """

    shares: PerSpeaker
    clips: PerSpeaker
    counting_variance: PerSpeaker


def interval(speakers: SpeakerAccuracy, level: float) -> tuple[float, float]:
    """Compute Student's t interval of the accuracy over all clips, cut at 0 and 1.

    Speakers may have different numbers of clips: the accuracy is a ratio estimator (Cochran, Sampling Techniques,
    third edition, section 6.4). With equal numbers it is the t interval of the mean of their shares. With few speakers
    a percentile bootstrap would be too narrow.

    Args:
        speakers: two or more.
        level: nominal coverage, 0.95 for instance.
    """
    mean, half_width = _t_interval(speakers.shares, speakers.clips, level)
    return max(float(mean - half_width), 0.0), min(float(mean + half_width), 1.0)


def _t_interval(
    shares: Float[np.ndarray, "*run speaker"], clips: Float[np.ndarray, "*#run speaker"], level: float
) -> tuple[Float[np.ndarray, "*run"], Float[np.ndarray, "*run"]]:
    """Compute the middle and the half width of each run's interval."""
    from scipy import stats  # here: the import takes half a second, and few commands need it

    count = shares.shape[-1]
    mean = np.asarray(np.average(shares, axis=-1, weights=np.broadcast_to(clips, shares.shape)))
    residuals = clips / clips.mean(axis=-1, keepdims=True) * (shares - mean[..., None])
    standard_error = np.sqrt((residuals**2).sum(axis=-1) / (count * (count - 1)))
    return mean, np.asarray(stats.t.ppf((1 + level) / 2, count - 1) * standard_error)


def selection_optimism(
    validated: Float[np.ndarray, "row speaker"],
    tested: Float[np.ndarray, "row speaker"],
    clips: PerSpeaker,
    *,
    runs: int = 4000,
    seed: int = 0,
) -> float:
    """Estimate by how much the test accuracy of the row that validates best is too high, because it was chosen.

    The validation speakers of one fold are test speakers of another, so that a row that is lucky with them is lucky
    twice. The choice is repeated on speakers drawn with replacement (Efron and Tibshirani, An Introduction to the
    Bootstrap, section 17.6).

    Args:
        validated: share of each speaker's clips that a row predicts correctly where they validate, 0 to 1.
        tested: the same where they test.
        clips: how many each speaker has.
        runs: simulated choices.
        seed: of the simulation.
    """
    times_drawn = np.random.default_rng(seed).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), runs)
    weights = times_drawn * clips
    weights = weights / weights.sum(axis=1, keepdims=True)
    chosen = (weights @ validated.T).argmax(axis=1)
    drawn = (weights @ tested.T)[np.arange(runs), chosen]
    return float((drawn - np.average(tested, axis=1, weights=clips)[chosen]).mean())


def skill_distribution(speakers: SpeakerAccuracy) -> tuple[float, float]:
    """Fit a beta distribution to the speakers' true accuracies, by their mean and their variance without counting's.

    Returns:
        The parameters alpha and beta.
    """
    mean = float(np.clip(np.average(speakers.shares, weights=speakers.clips), 0.01, 0.99))
    largest_variance = mean * (1 - mean)
    variance = speakers.shares.var(ddof=1) - speakers.counting_variance.mean()
    total = largest_variance / float(np.clip(variance, 1e-4, 0.9 * largest_variance)) - 1
    return mean * total, (1 - mean) * total


def coverage(speakers: SpeakerAccuracy, level: float, *, runs: int = 4000, seed: int = 0) -> float:
    """Simulate how often such an interval contains the true accuracy.

    Speakers are drawn from ``skill_distribution``; each of their clips is then correct or not.

    Args:
        speakers: those measured.
        level: nominal coverage.
        runs: simulated tables.
        seed: of the simulation.
    """
    alpha, beta = skill_distribution(speakers)
    # Several seeds measure a clip more precisely than one does: as if there were more clips.
    of_one_seed = (speakers.shares * (1 - speakers.shares) / np.maximum(speakers.clips - 1, 1)).mean()
    precision = of_one_seed / speakers.counting_variance.mean() if speakers.counting_variance.any() else 1.0
    clips = np.maximum(np.round(speakers.clips * precision), 1).astype(np.int64)
    random = np.random.default_rng(seed)
    skill = random.beta(alpha, beta, (runs, len(clips)))
    mean, half_width = _t_interval(random.binomial(clips, skill) / clips, speakers.clips, level)
    return float((np.abs(mean - alpha / (alpha + beta)) <= half_width).mean())


def permutation_p_value(first: PerSpeaker, second: PerSpeaker, *, seed: int = 0) -> float:
    """Test whether two systems' mean accuracies over speakers differ (two-sided).

    If the systems are alike, their figures can be exchanged within each speaker. With few speakers every permutation
    is counted, with many ten thousand are drawn.

    Args:
        first, second: the same speakers' shares under both systems, in the same order.
        seed: of the permutations drawn.
    """
    from scipy import stats

    if np.array_equal(first, second):
        return 1.0
    result = stats.permutation_test(
        (first, second),
        lambda left, right, axis: np.mean(left - right, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def holm(p_values: list[float]) -> list[float]:
    """Correct p-values for several tests by Holm's method, keeping their order.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none becomes smaller than the
    one before it, and none exceeds 1. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6 (1979).
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    result = np.empty(len(p_values))
    result[order] = corrected
    return result.tolist()


def variance_components(figures: Float[np.ndarray, "fold seed"]) -> tuple[float, float]:
    """Compute the standard deviations of a figure between folds, and between seeds of one fold.

    One-way analysis of variance with folds as groups. The first is the deviation between folds that seeds do not
    explain; 0 if they explain all of it. With one seed the two cannot be separated: the second is NaN, and the first
    contains both.

    Args:
        figures: of at least two folds.
    """
    means, seeds = figures.mean(axis=1), figures.shape[1]
    if seeds == 1:
        return float(means.std(ddof=1)), float("nan")
    within = float(figures.var(axis=1, ddof=1).mean())
    between = max(float(means.var(ddof=1)) - within / seeds, 0.0)
    return float(np.sqrt(between)), float(np.sqrt(within))
