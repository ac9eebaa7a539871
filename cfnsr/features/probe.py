"""Fit a linear classifier to frozen features of one fold's training speakers (a linear probe).

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", arXiv:1610.01644 (2016).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from cfnsr.data.dataset import Clips
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.types import LogProbabilities
from cfnsr.features import files
from cfnsr.features.files import Facts
from cfnsr.runtime.outputs import atomic_file

_ITERATIONS = 5000


@dataclass(frozen=True)
class FrozenFeatures:
    """The features of a set of clips.

    Attributes:
        facts: of their extractor.
        means: see ``ClipFeatures``; in the clips' order.
        classes: the class index of each clip.
    """

    facts: Facts
    means: Float32[np.ndarray, "clip layer width"]
    classes: Int64[np.ndarray, " clip"]

    @classmethod
    def open(cls, folder: Path, clips: Clips) -> FrozenFeatures:
        """Read the features of some speakers' clips.

        Args:
            folder: holds one folder a speaker.
            clips: in the order of which the features are given.

        Raises:
            CfnsrError: a clip has no features; or they are of another file, or of other weights than the first's.
        """
        means, facts = [], None
        for actor, of_actor in clips.index.groupby("actor", sort=False):
            known = files.read(folder / str(actor))
            facts = facts or known.facts
            if known.facts != facts:
                problem = "was made by another extractor, or with other weights, than the first speaker's features"
                raise CfnsrError(folder / str(actor), problem, "Run `dvc repro -f features`")
            rows = known.index.reset_index().set_index("clip")
            for clip, source in zip(of_actor["clip"], of_actor["source_md5"], strict=True):
                if clip not in rows.index:
                    reason = known.skipped.get(clip, "is not in its index")
                    problem = f"clip {clip} has no features: {reason}"
                    raise CfnsrError(folder / str(actor), problem, "Remove the clip, or the row from run.probe")
                if rows.at[clip, "source_md5"] != source:
                    problem = f"clip {clip} has the features of another file"
                    raise CfnsrError(folder / str(actor), problem, "Run `dvc repro -f features`")
            means.append(known.means[rows.loc[of_actor["clip"], "index"].to_numpy()])
        assert facts is not None
        return cls(facts, np.concatenate(means), clips.classes)

    def joined(self, other: FrozenFeatures) -> FrozenFeatures:
        """Return these clips followed by others."""
        means = np.concatenate([self.means, other.means])
        return FrozenFeatures(self.facts, means, np.concatenate([self.classes, other.classes]))


def has_seen(facts: Facts, corpus: str) -> str:
    """Say whether an encoder's weights have seen a corpus: ``yes``, ``no``, or ``unknown``.

    A corpus of the user's own is known to nobody. RAVDESS's sound is that of its videos.
    """
    if facts.trained_on == ():
        return "no"
    if facts.trained_on is None or corpus == "folder":
        return "unknown"
    same = {corpus.removesuffix("_speech"), f"{corpus.removesuffix('_speech')}_speech"}
    return "yes" if same & {*facts.trained_on} else "no"


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


def save(path: Path, probe: Probe, facts: Facts, labels: list[str], trial: Trial, data: str) -> None:
    """Write a classifier, with all that is needed to use it.

    Args:
        path: the file, safetensors.
        probe: the classifier.
        facts: of the extractor.
        labels: the emotions in the order of their class index.
        trial: protocol, fold and seed.
        data: fingerprint of the corpus as prepared.
    """
    description: dict[str, Any] = {
        "kind": "linear probe",
        "extractor": asdict(facts),
        "layer": probe.layer,
        "c": probe.c,
        "labels": labels,
        **asdict(trial),
        "data": data,
    }
    tensors = {name: np.ascontiguousarray(getattr(probe, name)) for name in ("mean", "scale", "weights", "bias")}
    with atomic_file(path) as partial:
        save_file(tensors, partial, metadata={"cfnsr": json.dumps(description, sort_keys=True)})
