"""How sure a figure is: intervals over speakers, what they are worth, and whether two systems differ.

Speakers, not clips, are the independent units: the clips of one speaker resemble each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

Shares = Float[np.ndarray, " speaker"]


@dataclass(frozen=True)
class Speakers:
    """What is known of the speakers tested.

    Attributes:
        shares: what part of each one's clips is right.
        clips: how many each has.
        noise: variance that each share has from counting so few clips.
    """

    shares: Shares
    clips: Shares
    noise: Shares


def interval(speakers: Speakers, level: float) -> tuple[float, float]:
    """Student's t interval of the accuracy over all clips, cut at 0 and 1.

    Speakers are the independent units, and may have different numbers of clips: the accuracy is a ratio estimator
    (Cochran, Sampling Techniques, third edition, section 6.4). With as many clips each it is the t interval of the
    mean of their shares. With few speakers a percentile bootstrap would be too narrow.

    Args:
        speakers: two or more.
        level: nominal coverage, 0.95 for instance.
    """
    middle, reach = _interval(speakers.shares, speakers.clips, level)
    return max(float(middle - reach), 0.0), min(float(middle + reach), 1.0)


def _interval(
    shares: Float[np.ndarray, "*run speaker"], clips: Float[np.ndarray, "*#run speaker"], level: float
) -> tuple[Float[np.ndarray, "*run"], Float[np.ndarray, "*run"]]:
    count = shares.shape[-1]
    middle = np.asarray(np.average(shares, axis=-1, weights=np.broadcast_to(clips, shares.shape)))
    away = clips / clips.mean(axis=-1, keepdims=True) * (shares - middle[..., None])
    error = np.sqrt((away**2).sum(axis=-1) / (count * (count - 1)))
    return middle, np.asarray(stats.t.ppf((1 + level) / 2, count - 1) * error)


def coverage(speakers: Speakers, level: float, *, runs: int = 4000, seed: int = 0) -> float:
    """How often such an interval holds the truth, by simulation.

    Speakers are drawn whose skill has the mean of these and as much spread as theirs beyond that of counting (a beta
    distribution), and clips that each gets right or wrong.

    Args:
        speakers: those measured.
        level: nominal coverage.
        runs: simulated tables.
        seed: of the simulation.
    """
    mean = float(np.clip(np.average(speakers.shares, weights=speakers.clips), 0.01, 0.99))
    most = mean * (1 - mean)
    between = float(np.clip(speakers.shares.var(ddof=1) - speakers.noise.mean(), 1e-4, 0.9 * most))
    weight = most / between - 1
    # Several seeds count a clip more steadily than one does: as if there were more clips.
    of_one_seed = (speakers.shares * (1 - speakers.shares) / np.maximum(speakers.clips - 1, 1)).mean()
    steadier = of_one_seed / speakers.noise.mean() if speakers.noise.any() else 1.0
    clips = np.maximum(np.round(speakers.clips * steadier), 1).astype(np.int64)
    random = np.random.default_rng(seed)
    skill = random.beta(mean * weight, (1 - mean) * weight, (runs, len(clips)))
    middle, reach = _interval(random.binomial(clips, skill) / clips, speakers.clips, level)
    return float((np.abs(middle - mean) <= reach).mean())


def difference(one: Shares, other: Shares, *, seed: int = 0) -> float:
    """Probability, were two systems alike, of a mean difference as large as theirs, either way.

    A permutation test: within each speaker the two may change places. With few speakers every permutation is
    counted, with many ten thousand are drawn.

    Args:
        one, other: the same speakers' shares under both systems, in the same order.
        seed: of the permutations drawn.
    """
    if np.array_equal(one, other):
        return 1.0
    tested = stats.permutation_test(
        (one, other),
        lambda first, second, axis: np.mean(first - second, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(seed),
    )
    return float(tested.pvalue)


def holm(probabilities: list[float]) -> list[float]:
    """Holm's correction for several tests, in the order given.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none falls below one before
    it, and none passes 1. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979).
    """
    order = np.argsort(probabilities, kind="stable")
    factors = len(probabilities) - np.arange(len(probabilities))
    corrected = np.minimum(np.maximum.accumulate(np.asarray(probabilities)[order] * factors), 1.0)
    result = np.empty(len(probabilities))
    result[order] = corrected
    return result.tolist()


def spread(figures: Float[np.ndarray, "fold seed"]) -> tuple[float, float]:
    """Standard deviations of a figure between folds and between seeds of one fold.

    One-way analysis of variance with folds as groups: what folds differ by beyond what seeds explain; 0 where seeds
    explain it all. With one seed there is none to tell: the second is NaN, and the first holds both.

    Args:
        figures: of two folds or more.
    """
    means, seeds = figures.mean(axis=1), figures.shape[1]
    if seeds == 1:
        return float(means.std(ddof=1)), float("nan")
    within = float(figures.var(axis=1, ddof=1).mean())
    between = max(float(means.var(ddof=1)) - within / seeds, 0.0)
    return float(np.sqrt(between)), float(np.sqrt(within))
