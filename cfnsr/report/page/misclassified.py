"""The clips that each system misclassifies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32

from cfnsr.data.jobs import probabilities

MOST = 24  # clips of a system that the page shows

Attention = Float32[np.ndarray, "moment row column"]
ClipKey = tuple[str, str]  # actor and clip: two speakers' clips may have the same name


@dataclass(frozen=True)
class Prediction:
    """One system's prediction for a clip.

    Attributes:
        row: the system's row in the table.
        label: the most probable emotion.
        probability: of that emotion, 0 to 1, averaged over seeds.
        actual_probability: the probability of the actual emotion.
    """

    row: str
    label: str
    probability: float
    actual_probability: float


@dataclass(frozen=True)
class Misclassified:
    """One clip that one system misclassifies.

    Attributes:
        actor, clip: which clip.
        label: the actual emotion.
        predictions: the system's own, then those of each modality alone if the table has these rows.
        attention: of the system over the face, from the first seed; None without attention.
    """

    actor: str
    clip: str
    label: str
    predictions: tuple[Prediction, ...]
    attention: Attention | None


def misclassified(name: str, predictions: dict[str, pd.DataFrame], labels: list[str]) -> list[Misclassified]:
    """List the clips that a system misclassifies, the most confident predictions first.

    Args:
        name: the system's row.
        predictions: by row, of all folds and seeds.
        labels: the emotions in the order of their class index.
    """
    rows = [name, *(row for row in _modality_rows(name) if row in predictions and row != name)]
    by_row = [_mean_predictions(row, predictions[row], labels) for row in rows]
    actual = dict(zip(_clips(predictions[name]), predictions[name]["label"], strict=True))
    attention = _attention(predictions[name])
    wrong = [clip for clip, prediction in by_row[0].items() if prediction.label != actual[clip]]
    wrong.sort(key=lambda clip: (-by_row[0][clip].probability, clip))
    return [
        Misclassified(*clip, actual[clip], tuple(of_row[clip] for of_row in by_row), attention.get(clip))
        for clip in wrong
    ]


def _modality_rows(name: str) -> tuple[str, str]:
    """Name the rows of both modalities under the same protocol."""
    _, at, protocol = name.partition("@")
    return f"video{at}{protocol}", f"audio{at}{protocol}"


def _clips(table: pd.DataFrame) -> list[ClipKey]:
    return list(zip(table["actor"], table["clip"], strict=True))


def _mean_predictions(row: str, table: pd.DataFrame, labels: list[str]) -> dict[ClipKey, Prediction]:
    """Average the probabilities of each clip over seeds."""
    columns = probabilities(labels)
    mean = pd.DataFrame(table.groupby(["actor", "clip", "label"], as_index=False)[columns].mean())
    result = {}
    for clip, actual, shares in zip(_clips(mean), mean["label"], np.asarray(mean[columns]), strict=True):
        best = int(shares.argmax())
        result[clip] = Prediction(row, labels[best], float(shares[best]), float(shares[labels.index(actual)]))
    return result


def _attention(table: pd.DataFrame) -> dict[ClipKey, Attention]:
    result: dict[ClipKey, Attention] = {}
    if "attention" in table:
        for clip, moments in zip(_clips(table), table["attention"], strict=True):
            if moments is not None and clip not in result:
                result[clip] = np.array([np.stack(list(rows)) for rows in moments], dtype=np.float32)
    return result
