"""OpenFace's CSV files of made-up faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def face(x: float, y: float, half: float = 20.0) -> np.ndarray:
    """Return 68 points of an upright face: eyes above the mouth."""
    points = np.random.default_rng(0).uniform(-half, half, (68, 2))
    points[36:48] = np.random.default_rng(1).uniform(-half, half, (12, 2)) * [1, 0.1] + [0, -half / 2]
    points[48:68] = np.random.default_rng(2).uniform(-half, half, (20, 2)) * [0.5, 0.1] + [0, half / 2]
    return points + np.array([x, y])


def csv_of(
    path: Path, rows: list[tuple[int, np.ndarray]], *, columns: tuple[str, ...] = ("frame", "timestamp")
) -> Path:
    """Write rows of (frame from 1, points)."""
    head = [*columns, "face_id", "confidence", *(f"{axis}_{number}" for axis in "xy" for number in range(68))]
    lines = [",".join(head)]
    for frame, points in rows:
        places = {"frame": frame, "timestamp": (frame - 1) / 25}
        lines.append(",".join(map(str, [*(places[name] for name in columns), 0, 0.9, *points[:, 0], *points[:, 1]])))
    path.write_text("\n".join(lines) + "\n")
    return path
