"""OpenFace's CSV files of made-up faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cfnsr.preprocessing.openface_csv import ACTION_UNITS


def face(x: float, y: float, half: float = 20.0) -> np.ndarray:
    """Return 68 points of an upright face: eyes above the mouth."""
    points = np.random.default_rng(0).uniform(-half, half, (68, 2))
    points[36:48] = np.random.default_rng(1).uniform(-half, half, (12, 2)) * [1, 0.1] + [0, -half / 2]
    points[48:68] = np.random.default_rng(2).uniform(-half, half, (20, 2)) * [0.5, 0.1] + [0, half / 2]
    return points + np.array([x, y])


def csv_of(
    path: Path,
    rows: list[tuple[int, np.ndarray]],
    *,
    columns: tuple[str, ...] = ("frame", "timestamp"),
    confidence: float | Sequence[float] = 0.9,
    units: np.ndarray | None = None,
) -> Path:
    """Write rows of (frame from 1, points).

    Args:
        path: where.
        rows: one a face and frame.
        columns: that place them.
        confidence: of all rows, or of each.
        units: action units of each row, in the order of ``ACTION_UNITS``; none: no such columns.
    """
    more = () if units is None else ACTION_UNITS
    head = [*columns, "face_id", "confidence", *(f"{axis}_{number}" for axis in "xy" for number in range(68)), *more]
    lines = [",".join(head)]
    sure = np.broadcast_to(confidence, len(rows))
    for number, (frame, points) in enumerate(rows):
        places = {"frame": frame, "timestamp": (frame - 1) / 25}
        cells = [*(places[name] for name in columns), 0, sure[number], *points[:, 0], *points[:, 1]]
        lines.append(",".join(map(str, cells if units is None else [*cells, *units[number]])))
    path.write_text("\n".join(lines) + "\n")
    return path
