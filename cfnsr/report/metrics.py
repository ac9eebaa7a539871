"""Predictions -> accuracy and recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, recall_score

from cfnsr.report.significance import Speakers


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
    classes = np.array([labels.index(label) for label in actual])
    # A class never predicted has no precision; scikit-learn would warn, and its F1 is 0 either way.
    averaging: dict[str, Any] = {"labels": present, "average": "macro", "zero_division": 0}
    return Scores(
        accuracy=float(accuracy_score(actual, predicted)),
        uar=float(recall_score(actual, predicted, **averaging)),
        f1=float(f1_score(actual, predicted, **averaging)),
        # Not scikit-learn's, which refuses to score two classes alike with more.
        top2=float((np.argsort(probabilities, axis=1)[:, -2:] == classes[:, None]).any(axis=1).mean()),
    )


def recalls(predictions: pd.DataFrame, labels: list[str]) -> dict[str, float]:
    """Of each class that has a clip: the share of its clips that is right."""
    actual, predicted = predictions["label"].tolist(), predictions["predicted"].tolist()
    present = [label for label in labels if label in actual]
    options: dict[str, Any] = {"labels": present, "average": None, "zero_division": 0}
    found: Any = recall_score(actual, predicted, **options)
    return dict(zip(present, map(float, found), strict=True))


def by_speaker(predictions: pd.DataFrame) -> Speakers:
    """Each speaker's share of right predictions, in the order of their names; several seeds count alike."""
    right = predictions.assign(right=(predictions["label"] == predictions["predicted"]).astype(float))
    # A clip that some seeds get right counts in part.
    clips = right.groupby(["actor", "clip"], as_index=False).agg(right=("right", "mean"))
    by_actor = clips.groupby("actor")["right"]
    shares, sizes, spread = (
        np.asarray(one, dtype=np.float64) for one in (by_actor.mean(), by_actor.size(), by_actor.var(ddof=0))
    )
    return Speakers(shares, sizes, spread / np.maximum(sizes - 1, 1))
