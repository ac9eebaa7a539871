"""Accuracy, recall and calibration of predictions.

Predictions are a table with a row for each clip (and seed): ``actor``, ``clip``, ``label`` (the actual emotion),
``predicted``, and ``p_<label>``, the probability of each emotion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from cfnsr.data.jobs import probabilities
from cfnsr.report.significance import SpeakerAccuracy

BINS = 15
TEMPERATURES = (0.05, 20.0)  # lowest and highest


@dataclass(frozen=True)
class Scores:
    """Figures of a set of predictions, each a share from 0 to 1.

    Attributes:
        accuracy: share of clips predicted correctly (weighted average recall, WAR).
        uar: mean of the emotions' recalls (unweighted average recall).
        f1: mean of the emotions' F1.
        top2: share of clips whose actual emotion is among the two most probable.
    """

    accuracy: float
    uar: float
    f1: float
    top2: float


def scores(predictions: pd.DataFrame, labels: list[str]) -> Scores:
    """Compute the scores; an emotion without a clip counts neither in UAR nor in F1."""
    # Here, as SciPy below: the import takes a second, and `cfnsr check` and `cfnsr results` compute nothing.
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    actual, predicted = predictions["label"].tolist(), predictions["predicted"].tolist()
    present = [label for label in labels if label in actual]
    classes = np.array([labels.index(label) for label in actual])
    # An emotion that is never predicted has no precision: scikit-learn would warn, and its F1 is 0 either way.
    averaging: dict[str, Any] = {"labels": present, "average": "macro", "zero_division": 0}
    two_best = np.argsort(_probabilities(predictions, labels), axis=1)[:, -2:]
    return Scores(
        accuracy=float(accuracy_score(actual, predicted)),
        uar=float(recall_score(actual, predicted, **averaging)),
        f1=float(f1_score(actual, predicted, **averaging)),
        # scikit-learn's top-k score rejects one or two classes.
        top2=float((two_best == classes[:, None]).any(axis=1).mean()),
    )


def recalls(predictions: pd.DataFrame, labels: list[str]) -> dict[str, float]:
    """Compute the recall of each emotion that has a clip."""
    correct: Any = predictions["label"] == predictions["predicted"]
    shares: dict[str, float] = correct.groupby(predictions["label"]).mean().to_dict()
    return {label: shares[label] for label in labels if label in shares}


def by_speaker(predictions: pd.DataFrame) -> SpeakerAccuracy:
    """Compute each speaker's accuracy, in the order of their names; all seeds have the same weight."""
    correct = predictions.assign(correct=(predictions["label"] == predictions["predicted"]).astype(float))
    # A clip that some seeds predict correctly counts in part.
    clips = correct.groupby(["actor", "clip"], as_index=False).agg(correct=("correct", "mean"))
    by_actor = clips.groupby("actor")["correct"]
    shares, counts, variances = (
        np.asarray(values, dtype=np.float64) for values in (by_actor.mean(), by_actor.size(), by_actor.var(ddof=0))
    )
    return SpeakerAccuracy(shares, counts, variances / np.maximum(counts - 1, 1))


def reliability_bins(predictions: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Divide confidence into fifteen equal bins; return those that hold a clip.

    Returns:
        Columns ``confidence`` (mean of the bin), ``accuracy`` and ``clips``.
    """
    from sklearn.calibration import calibration_curve

    confidence = np.clip(_probabilities(predictions, labels).max(axis=1), 0.0, 1.0)
    correct = np.asarray(predictions["label"] == predictions["predicted"])
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=BINS, pos_label=True)
    # The same bins as calibration_curve's, which leaves out the empty ones.
    clips = np.bincount(np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence))
    return pd.DataFrame({"confidence": mean_confidence, "accuracy": accuracy, "clips": clips[clips > 0]})


def expected_calibration_error(predictions: pd.DataFrame, labels: list[str]) -> float:
    """Compute the mean distance between accuracy and confidence over fifteen bins, weighted by their clips.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3.
    """
    bins = reliability_bins(predictions, labels)
    return float(np.average((bins["accuracy"] - bins["confidence"]).abs(), weights=bins["clips"]))


def temperature(predictions: pd.DataFrame, labels: list[str]) -> float:
    """Find the temperature (0.05 to 20) by which logits must be divided to make these clips most likely.

    Guo and others, section 4.2. Fit it on the validation speakers: on the test speakers it would be optimistic.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    log_probs = _log_probabilities(predictions, labels)
    classes = np.array([labels.index(label) for label in predictions["label"]])

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(log_probs / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(classes)), classes].mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(best.x))


def scale(predictions: pd.DataFrame, labels: list[str], by: float) -> pd.DataFrame:
    """Divide the logits by the temperature ``by``; the most probable emotion stays the same."""
    from scipy.special import log_softmax

    result = predictions.copy()
    scaled = log_softmax(_log_probabilities(predictions, labels) / by, axis=1)
    result[probabilities(labels)] = np.exp(scaled)
    return result


def _probabilities(predictions: pd.DataFrame, labels: list[str]) -> Float[np.ndarray, "clip classes"]:
    return np.asarray(predictions[probabilities(labels)], dtype=np.float64)


def _log_probabilities(predictions: pd.DataFrame, labels: list[str]) -> Float[np.ndarray, "clip classes"]:
    return np.log(np.maximum(_probabilities(predictions, labels), 1e-30))
