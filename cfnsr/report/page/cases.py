"""What each system gets wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32

MOST = 24  # clips of a system that the page shows

Attended = Float32[np.ndarray, "moment row column"]


@dataclass(frozen=True)
class Opinion:
    """What one network takes a clip for.

    Attributes:
        whose: its row in the table.
        label: the most probable emotion.
        probability: of that, averaged over seeds.
        of_truth: the probability of the emotion that was acted.
    """

    whose: str
    label: str
    probability: float
    of_truth: float


@dataclass(frozen=True)
class Case:
    """One clip that one system gets wrong.

    Attributes:
        actor, clip: which.
        label: the emotion that was acted.
        opinions: the system's own first, then those of either modality alone, where they ran.
        attention: where in the face it looked, by the first of several seeds; none where the system does not say so.
    """

    actor: str
    clip: str
    label: str
    opinions: tuple[Opinion, ...]
    attention: Attended | None


def wrong(name: str, predicted: dict[str, pd.DataFrame], labels: list[str]) -> list[Case]:
    """The clips that a system gets wrong, those first of which it is surest.

    Args:
        name: the system's row.
        predicted: by row, predictions as ``evaluate.table`` makes them, of all folds and seeds.
        labels: the emotions in the order of their class index.
    """
    alone = [other for other in _alone(name) if other in predicted and other != name]
    opinions = [_opinions(row, predicted[row], labels) for row in (name, *alone)]
    acted = dict(zip(_clips(predicted[name]), predicted[name]["label"], strict=True))
    attention = _attention(predicted[name])
    found = [clip for clip, opinion in opinions[0].items() if opinion.label != acted[clip]]
    found.sort(key=lambda clip: (-opinions[0][clip].probability, clip))
    return [Case(*clip, acted[clip], tuple(one[clip] for one in opinions), attention.get(clip)) for clip in found]


def _alone(name: str) -> tuple[str, str]:
    """The rows of both modalities under the same protocol."""
    _, at, protocol = name.partition("@")
    return f"video{at}{protocol}", f"audio{at}{protocol}"


def _clips(predictions: pd.DataFrame) -> list[tuple[str, str]]:
    """Two speakers' clips may have one name."""
    return list(zip(predictions["actor"], predictions["clip"], strict=True))


def _opinions(whose: str, predictions: pd.DataFrame, labels: list[str]) -> dict[tuple[str, str], Opinion]:
    columns = [f"p_{label}" for label in labels]
    mean = pd.DataFrame(predictions.groupby(["actor", "clip", "label"], as_index=False)[columns].mean())
    found = {}
    for clip, label, row in zip(_clips(mean), mean["label"], np.asarray(mean[columns]), strict=True):
        best = int(row.argmax())
        found[clip] = Opinion(whose, labels[best], float(row[best]), float(row[labels.index(label)]))
    return found


def _attention(predictions: pd.DataFrame) -> dict[tuple[str, str], Attended]:
    if "attention" not in predictions:
        return {}
    found: dict[tuple[str, str], Attended] = {}
    for clip, attended in zip(_clips(predictions), predictions["attention"], strict=True):
        if attended is not None and clip not in found:
            found[clip] = np.array([np.stack(list(step)) for step in attended], dtype=np.float32)
    return found
