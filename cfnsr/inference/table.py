"""The table of predictions: one row a window and person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.inference.kinds import LogProbabilities, Opinion
from cfnsr.inference.picture import Picture

FUSED, VOICE, FACE = "p_", "voice_", "face_"  # beginnings of the columns of probabilities
_NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """The prediction for one window and person.

    Attributes:
        file: path, or name of a recording.
        start_s, end_s: of the window, in seconds from the first frame or sample.
        person: number of the person in the file, from 0; None for sound alone.
        missing: the reason for each modality (``face``, ``voice``) that the model reads and the window lacks.
        box: centre x, centre y and side of the face in pixels, in the middle of the window.
        opinion: the model's log-probabilities.
        temperature: divides the log-probabilities.
        distance: percentile (0 to 100) among the training clips' distances; NaN if not known.
        is_far: whether the input is far from the training clips.
        picture: thumbnail, face and attention; None if pictures were not requested, or the window has none.
    """

    file: str
    start_s: float
    end_s: float
    person: int | None
    missing: Mapping[str, str] = field(default_factory=dict)
    box: tuple[float, float, float] = (_NAN, _NAN, _NAN)
    opinion: Opinion = field(default_factory=Opinion)
    temperature: float = 1.0
    distance: float = _NAN
    is_far: bool = False
    picture: Picture | None = None

    def values(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the values of the table's columns, in their order."""
        log_probabilities = {FUSED: self.opinion.fused, VOICE: self.opinion.audio, FACE: self.opinion.video}
        shares = {
            prefix: calibrated(values, self.temperature, len(labels)) for prefix, values in log_probabilities.items()
        }
        fused = shares[FUSED]
        is_predicted = self.opinion.fused is not None
        return {
            "file": self.file,
            "person": _NAN if self.person is None else float(self.person),
            "start_s": self.start_s,
            "end_s": self.end_s,
            "emotion": labels[int(fused.argmax())] if is_predicted else None,
            "confidence": float(fused.max()) if is_predicted else _NAN,
            **{
                f"{prefix}{label}": float(share)
                for prefix, of_prefix in shares.items()
                for label, share in zip(labels, of_prefix, strict=True)
            },
            "missing": " ".join(self.missing),
            "why": "; ".join(f"{name}: {problem}" for name, problem in self.missing.items()),
            "distance": self.distance,
            "far": self.is_far,
            **dict(zip(("box_x", "box_y", "box_side"), self.box, strict=True)),
        }


def calibrated(log_probabilities: LogProbabilities | None, temperature: float, classes: int) -> np.ndarray:
    """Return probabilities: log-probabilities divided by the temperature, normalised; NaN if there are none."""
    if log_probabilities is None:
        return np.full(classes, np.nan)
    scaled = log_probabilities.astype(np.float64) / temperature
    return np.exp(scaled - np.logaddexp.reduce(scaled))


def summary(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """Count the predicted emotions of rows in one line, the most frequent first."""
    emotions = Counter(row.values(labels)["emotion"] or "no prediction" for row in rows)
    far = sum(row.is_far for row in rows)
    counts = ", ".join(f"{emotion} {count}" for emotion, count in emotions.most_common())
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    return f"{count}: {counts}" + (f"; {far} far from the training clips" if far else "")


def table(rows: Sequence[Row], labels: Sequence[str], **about: Any) -> pd.DataFrame:
    """Return rows as a table.

    Args:
        rows: of all files.
        labels: the emotions, in the order of their class index.
        about: entries of the table's ``attrs``.
    """
    columns = list(Row("", 0.0, 0.0, None).values(labels))
    frame = pd.DataFrame([row.values(labels) for row in rows], columns=columns)
    # A column of strings would turn None into NaN.
    emotions = [
        None if row.opinion.fused is None else emotion for row, emotion in zip(rows, frame["emotion"], strict=True)
    ]
    frame["emotion"] = pd.Series(emotions, dtype=object)
    frame.attrs.update(about)
    return frame
