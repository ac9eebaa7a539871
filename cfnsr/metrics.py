"""Predictions -> accuracy, recall and an interval over speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, recall_score, top_k_accuracy_score


@dataclass(frozen=True)
class Scores:
    """Figures of a set of predictions, each a share from 0 to 1.

    Attributes:
        accuracy: right clips among all (weighted average recall, WAR).
        uar: mean of the classes' recalls (unweighted average recall).
        f1: mean of the classes' F1.
        top2: clips whose true class is among the two most probable.
    """

    accuracy: float
    uar: float
    f1: float
    top2: float


def scores(predictions: pd.DataFrame, labels: list[str]) -> Scores:
    """Score rows of ``evaluate.table``; a class without a clip counts neither in UAR nor in F1."""
    actual, predicted = predictions["label"].tolist(), predictions["predicted"].tolist()
    present = [label for label in labels if label in actual]
    probabilities = np.asarray(predictions[[f"p_{label}" for label in labels]])
    # From class indices: scikit-learn would sort the names and refuse ours in their own order.
    classes = [labels.index(label) for label in actual]
    # A class never predicted has no precision; scikit-learn would warn, and its F1 is 0 either way.
    averaging: dict[str, Any] = {"labels": present, "average": "macro", "zero_division": 0}
    return Scores(
        accuracy=float(accuracy_score(actual, predicted)),
        uar=float(recall_score(actual, predicted, **averaging)),
        f1=float(f1_score(actual, predicted, **averaging)),
        top2=float(top_k_accuracy_score(classes, probabilities, k=2, labels=range(len(labels)))),
    )


def interval(predictions: pd.DataFrame, level: float) -> tuple[float, float]:
    """Student's t interval of the accuracy over speakers, cut at 0 and 1.

    Speakers, not clips, are the independent units: a speaker's clips resemble each other. With few speakers a
    percentile bootstrap would be too narrow.

    Args:
        predictions: rows of ``evaluate.table``, of two speakers or more.
        level: nominal coverage, 0.95 for instance.
    """
    right = np.asarray(predictions["label"] == predictions["predicted"])
    actors = np.asarray(predictions["actor"])
    per_actor = np.array([right[actors == actor].mean() for actor in np.unique(actors)])
    error = per_actor.std(ddof=1) / np.sqrt(len(per_actor))
    reach = float(stats.t.ppf((1 + level) / 2, len(per_actor) - 1) * error)
    middle = float(per_actor.mean())
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
