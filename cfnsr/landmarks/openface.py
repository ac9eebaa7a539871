"""OpenFace 2.1's CSV: one row a frame, 712 columns, of which 138 matter here.

Baltrusaitis, Zadeh, Lim and Morency, "OpenFace 2.0: Facial Behavior Analysis Toolkit", FG 2018.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from cfnsr.errors import CfnsrError
from cfnsr.landmarks import POINTS, Track

_EYE_POINTS = 56
_SHAPE = 34
_UNITS = ("01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45")
_PRESENT = (*_UNITS[:-1], "28", "45")


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
    *(name for axis in "xyXYZ" for name in _numbered(axis, POINTS)),
    "p_scale",
    "p_rx",
    "p_ry",
    "p_rz",
    "p_tx",
    "p_ty",
    *_numbered("p", _SHAPE),
    *(f"AU{unit}_r" for unit in _UNITS),
    *(f"AU{unit}_c" for unit in _PRESENT),
)
_WANTED = ("timestamp", "confidence", *_numbered("x", POINTS), *_numbered("y", POINTS))


def read(path: Path) -> Track:
    """Read the landmarks of one clip; columns are found by name, whatever else the file holds.

    Raises:
        CfnsrError: the file cannot be read, lacks a column, or holds fewer than two frames.
    """
    try:
        with path.open("rb") as file:  # opened here, as Arrow takes no name that is not UTF-8
            header = file.readline().decode("utf-8")
            file.seek(0)
            given = {name.strip(): name for name in header.rstrip("\r\n").split(",")}
            missing = [name for name in _WANTED if name not in given]
            if missing:
                more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
                raise CfnsrError(
                    path,
                    f"lacks the columns {', '.join(missing[:3])}{more}",
                    "Give a file written by OpenFace with -2Dfp",
                )
            chosen = [given[name] for name in _WANTED]
            convert = pacsv.ConvertOptions(include_columns=chosen, column_types=dict.fromkeys(chosen, pa.float64()))
            table = pacsv.read_csv(file, convert_options=convert)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        reason = str(error)[:200]  # Arrow quotes the line, which may have thousands of cells
        raise CfnsrError(path, f"cannot be read as CSV ({reason})", "Fetch the landmarks of this clip again") from error
    if len(table) < 2:
        raise CfnsrError(path, f"holds {len(table)} frames", "Fetch the landmarks of this clip again")
    values = np.stack([column.to_numpy() for column in table.columns], axis=1)
    points = values[:, 2:].reshape(len(table), 2, POINTS).transpose(0, 2, 1)
    span_s = values[-1, 0] - values[0, 0]
    if not span_s > 0:
        raise CfnsrError(path, "its timestamps do not advance", "Fetch the landmarks of this clip again")
    return Track(points=points, confidence=values[:, 1], frame_rate_hz=float((len(table) - 1) / span_s))


def write(path: Path, track: Track) -> None:
    """Write a clip's landmarks as OpenFace would; columns that are not known are 0."""
    count = len(track.points)
    values = np.zeros((count, len(COLUMNS)))
    place = {name: number for number, name in enumerate(COLUMNS)}
    values[:, place["timestamp"]] = np.arange(count) / track.frame_rate_hz
    values[:, place["confidence"]] = track.confidence
    for axis, name in enumerate("xy"):
        values[:, place[f"{name}_0"] : place[f"{name}_0"] + POINTS] = track.points[:, :, axis]
    # Zeros as "0", the rest rounded as OpenFace rounds: seven eighths of the file are columns that are not known.
    known = np.flatnonzero(values.any(axis=0))
    rows = []
    for number, row in enumerate(values, start=1):
        cells = ["0"] * len(COLUMNS)
        cells[0] = str(number)
        for column in known:
            cells[column] = f"{row[column]:.3f}"
        rows.append(",".join(cells))
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="ascii")
