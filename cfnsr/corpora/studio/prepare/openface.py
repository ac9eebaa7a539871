"""Write exact landmarks in the format of OpenFace 2.1: one row a frame, 712 columns.

Baltrusaitis, Zadeh, Lim and Morency, "OpenFace 2.0: Facial Behavior Analysis Toolkit", FG 2018.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

_POINTS = 68
_EYE_POINTS = 56
_SHAPE_PARAMETERS = 34
_ACTION_UNITS = ("01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45")
_DETECTED_UNITS = (*_ACTION_UNITS[:-1], "28", "45")


def _numbered(stem: str, count: int) -> list[str]:
    return [f"{stem}_{number}" for number in range(count)]


COLUMNS = (
    "frame",
    "timestamp",
    "confidence",
    *(f"gaze_{eye}_{axis}" for eye in range(2) for axis in "xyz"),
    "gaze_angle_x",
    "gaze_angle_y",
    *(name for axis in "xyXYZ" for name in _numbered(f"eye_lmk_{axis}", _EYE_POINTS)),
    *(f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"),
    *(name for axis in "xyXYZ" for name in _numbered(axis, _POINTS)),
    "p_scale",
    "p_rx",
    "p_ry",
    "p_rz",
    "p_tx",
    "p_ty",
    *_numbered("p", _SHAPE_PARAMETERS),
    *(f"AU{unit}_r" for unit in _ACTION_UNITS),
    *(f"AU{unit}_c" for unit in _DETECTED_UNITS),
)


def write(path: Path, points: Float64[np.ndarray, "frame 68 2"], confidence: float, frame_rate_hz: float) -> None:
    """Write a clip's landmarks; unknown columns are 0."""
    count = len(points)
    values = np.zeros((count, len(COLUMNS)))
    column_of = {name: number for number, name in enumerate(COLUMNS)}
    values[:, column_of["timestamp"]] = np.arange(count) / frame_rate_hz
    values[:, column_of["confidence"]] = confidence
    for axis, name in enumerate("xy"):
        values[:, column_of[f"{name}_0"] : column_of[f"{name}_0"] + _POINTS] = points[:, :, axis]
    # Seven eighths of the columns are unknown: "0" keeps the file small. The others are rounded as by OpenFace.
    known = np.flatnonzero(values.any(axis=0))
    rows = []
    for number, row in enumerate(values, start=1):
        cells = ["0"] * len(COLUMNS)
        cells[0] = str(number)
        for column in known:
            cells[column] = f"{row[column]:.3f}"
        rows.append(",".join(cells))
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="ascii")
