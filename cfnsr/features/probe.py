"""Fit a linear classifier to frozen features of one fold's training speakers (a linear probe).

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", arXiv:1610.01644 (2016).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.types import LogProbabilities
from cfnsr.features.files import Facts
from cfnsr.features.fold import FrozenFeatures
from cfnsr.runtime import model_header
from cfnsr.runtime.outputs import atomic_file

_ITERATIONS = 5000


@dataclass(frozen=True)
class Probe:
    """A linear classifier on one layer of an encoder.

    Attributes:
        layer: its number, from 0.
        c: inverse strength of the regularisation.
        mean, scale: mean and standard deviation of each feature over the training clips.
        weights, bias: of the classes that the training clips have; other classes have no probability.
    """

    layer: int
    c: float
    mean: Float64[np.ndarray, " width"]
    scale: Float64[np.ndarray, " width"]
    weights: Float64[np.ndarray, "class width"]
    bias: Float64[np.ndarray, " class"]

    def predict(self, clips: FrozenFeatures) -> LogProbabilities:
        """Return the log-probabilities of clips."""
        logits = (clips.means[:, self.layer] - self.mean) / self.scale @ self.weights.T + self.bias
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    def accuracy(self, clips: FrozenFeatures) -> float:
        """Return the share of clips that are predicted correctly."""
        return float((self.predict(clips).argmax(axis=1) == clips.classes).mean())


def fit(clips: FrozenFeatures, layer: int, c: float, classes: int) -> Probe:
    """Fit the classifier to all of some clips.

    Args:
        clips: of the training speakers.
        layer: of the encoder, from 0.
        c: inverse strength of the regularisation.
        classes: their number.

    Raises:
        CfnsrError: a class has no clip.
    """
    missing = sorted({*range(classes)} - {*clips.classes.tolist()})
    if missing:
        problem = f"class {missing[0]} of {classes} has no clip of a training speaker"
        raise CfnsrError("run.probe", problem, "Leave the emotion out, or use other folds")
    values = clips.means[:, layer].astype(np.float64)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[scale == 0] = 1.0  # a feature that never changes tells nothing
    # Products of matrices this small take longer on several threads of BLAS, most of all if other jobs run.
    with threadpool_limits(1, user_api="blas"):
        model = LogisticRegression(C=c, max_iter=_ITERATIONS).fit((values - mean) / scale, clips.classes)
    weights, bias = model.coef_, model.intercept_
    if classes == 2:  # scikit-learn gives one row for the second class
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return Probe(layer, c, mean, scale, weights, bias)


def choose(train: FrozenFeatures, selection: FrozenFeatures, c: list[float], classes: int) -> Probe:
    """Fit one classifier for each layer and strength; return the one that predicts the selection clips best.

    Of equals the first is returned: the earlier layer, the stronger regularisation.

    Args:
        train: clips of the training speakers.
        selection: clips of the speakers that choose.
        c: inverse strengths of the regularisation.
        classes: their number.
    """
    probes = [fit(train, layer, strength, classes) for layer in range(train.means.shape[1]) for strength in sorted(c)]
    return max(probes, key=lambda probe: probe.accuracy(selection))


def save(
    path: Path,
    probe: Probe,
    facts: Facts,
    labels: list[str],
    trial: Trial,
    data: str,
    *,
    speakers: Mapping[str, list[str]],
    options: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
) -> None:
    """Write a classifier, with all that is needed to use it.

    Args:
        path: the file, safetensors.
        probe: the classifier.
        facts: of the extractor.
        labels: the emotions in the order of their class index.
        trial: protocol, fold and seed.
        data: fingerprint of the corpus as prepared.
        speakers: of the fold.
        options: the extractor's.
        preprocessing: how the corpus's clips were prepared: an extractor of faces reads the face boxes.
    """
    description: dict[str, Any] = {
        "kind": "linear probe",
        "extractor": asdict(facts),
        "options": dict(options),
        "preprocessing": dict(preprocessing),
        "layer": probe.layer,
        "c": probe.c,
        "labels": labels,
        **asdict(trial),
        "data": data,
        "speakers": dict(speakers),
    }
    tensors = {name: np.ascontiguousarray(getattr(probe, name)) for name in ("mean", "scale", "weights", "bias")}
    description["checksum"] = model_header.checksum(tensors)
    with atomic_file(path) as partial:
        save_file(tensors, partial, metadata={"cfnsr": json.dumps(description, sort_keys=True)})
