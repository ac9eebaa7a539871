"""Whether a network is as often right as it says, and the one number that mends it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve

BINS = 15
_COLDEST, _HOTTEST = 0.05, 20.0


def bins(predictions: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Of fifteen equal bins of confidence, those that hold a clip.

    Args:
        predictions: rows of ``evaluate.table``.
        labels: the emotions in the order of their class index.

    Returns:
        Columns ``confidence`` (mean of the bin), ``accuracy`` and ``clips``.
    """
    confidence = np.clip(_probabilities(predictions, labels).max(axis=1), 0.0, 1.0)
    right = np.asarray(predictions["label"] == predictions["predicted"])
    accuracy, mean_confidence = calibration_curve(right, confidence, n_bins=BINS, pos_label=True)
    # As calibration_curve draws its bins; it leaves out those that are empty.
    clips = np.bincount(np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence))
    return pd.DataFrame({"confidence": mean_confidence, "accuracy": accuracy, "clips": clips[clips > 0]})


def error(predictions: pd.DataFrame, labels: list[str]) -> float:
    """Expected calibration error: how far accuracy lies from confidence, over fifteen equal bins of confidence.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3.

    Args:
        predictions: rows of ``evaluate.table``.
        labels: the emotions in the order of their class index.
    """
    found = bins(predictions, labels)
    return float(np.average((found["accuracy"] - found["confidence"]).abs(), weights=found["clips"]))


def temperature(predictions: pd.DataFrame, labels: list[str]) -> float:
    """What to divide the logits by, so that the likelihood of these clips is greatest; between 0.05 and 20.

    Guo and others, section 4.2. Fit it on the validation speakers: on those tested it would flatter.

    Args:
        predictions: rows of ``evaluate.table``.
        labels: the emotions in the order of their class index.
    """
    log_probs = np.log(np.maximum(_probabilities(predictions, labels), 1e-30))
    true = np.array([labels.index(label) for label in predictions["label"]])

    def loss(log_temperature: float) -> float:
        scaled = _log_softmax(log_probs / np.exp(log_temperature))
        return float(-scaled[np.arange(len(true)), true].mean())

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def scaled(predictions: pd.DataFrame, labels: list[str], by: float) -> pd.DataFrame:
    """The same predictions at another temperature; which class is most probable does not change."""
    log_probs = np.log(np.maximum(_probabilities(predictions, labels), 1e-30))
    result = predictions.copy()
    result[[f"p_{label}" for label in labels]] = np.exp(_log_softmax(log_probs / by))
    return result


def _probabilities(predictions: pd.DataFrame, labels: list[str]) -> Float[np.ndarray, "clip classes"]:
    return np.asarray(predictions[[f"p_{label}" for label in labels]], dtype=np.float64)


def _log_softmax(values: Float[np.ndarray, "clip classes"]) -> Float[np.ndarray, "clip classes"]:
    values = values - values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))
