"""Read OpenFace's CSV: one row a face and frame, 712 columns in version 2.1, of which 138 or 173 are read.

Baltrusaitis, Zadeh, Lim and Morency, "OpenFace 2.0: Facial Behavior Analysis Toolkit", FG 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from jaxtyping import Float64, Int64

from cfnsr.corpora.clip import FACES
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import people
from cfnsr.preprocessing.landmarks import POINTS, Landmarks

_REMEDY = "Fetch the landmarks of this clip again"
_NEEDED = ("confidence", *(f"{axis}_{number}" for axis in "xy" for number in range(POINTS)))
_MOST_FRAMES = 10_000_000  # in a clip: four days at 30 frames a second
_UNITS = ("01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45")
# Intensities from 0 to 5, and presences, 0 or 1; the presence of the 28th has no intensity.
ACTION_UNITS = (*(f"AU{unit}_r" for unit in _UNITS), *(f"AU{unit}_c" for unit in sorted([*_UNITS, "28"])))


@dataclass(frozen=True)
class ActionUnits:
    """The facial action units of one clip, frame by frame.

    Attributes:
        values: in the order of ``ACTION_UNITS``; NaN in frames without a row.
        confidence: of the detector in each frame, 0 to 1; 0 in frames without a row.
        frame_rate_hz: frames a second; NaN if the file does not tell it.
    """

    values: Float64[np.ndarray, "frame 35"]
    confidence: Float64[np.ndarray, " frame"]
    frame_rate_hz: float


def read(path: Path, *, face: str = FACES[0], part: slice = slice(None)) -> Landmarks:
    """Read the landmarks of one clip; see ``parse``.

    Raises:
        CfnsrError: the file cannot be read, or ``parse`` raises it.
    """
    return parse(_content(path), path, face=face, part=part)


def read_action_units(path: Path, *, face: str = FACES[0], part: slice = slice(None)) -> ActionUnits:
    """Read the action units of one clip; rows and person are chosen as by ``parse``.

    Raises:
        CfnsrError: the file cannot be read or has no action units, or ``parse`` raises it.
    """
    values, rate_hz = _by_frame(_content(path), path, (*_NEEDED, *ACTION_UNITS), face, part)
    return ActionUnits(values[:, len(_NEEDED) :], np.nan_to_num(values[:, 0]), rate_hz)


def parse(content: bytes, path: Path, *, face: str = FACES[0], part: slice = slice(None)) -> Landmarks:
    """Parse a CSV file's bytes. Columns are found by name; others are ignored.

    Rows are placed by the number of their frame, or by their time where there is no such column. Frames without a row
    have no points and confidence 0. Of several faces in a frame, those of one person are taken.

    Args:
        content: of the file.
        path: of the file, for the error.
        face: who is taken, one of ``cfnsr.corpora.clip.FACES``.
        part: the frames of the clip; the others are left without points.

    Raises:
        CfnsrError: it is not a CSV file, lacks a column, or has no frames.
    """
    values, rate_hz = _by_frame(content, path, _NEEDED, face, part)
    points = np.ascontiguousarray(values[:, 1:].reshape(-1, 2, POINTS).transpose(0, 2, 1))
    return Landmarks(points, np.nan_to_num(values[:, 0]), rate_hz)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error})", _REMEDY) from error


def _by_frame(
    content: bytes, path: Path, names: tuple[str, ...], face: str, part: slice
) -> tuple[Float64[np.ndarray, "frame column"], float]:
    """Return the columns of these names, which begin with ``_NEEDED``, for one person; and the frame rate."""
    table = _table(content, path, names)
    if not len(table):
        raise CfnsrError(path, "has 0 frames", _REMEDY)
    numbers, rate_hz = _frame_numbers(table, path)
    values = np.stack([table[name].to_numpy() for name in names], axis=1)
    points = values[:, 1 : len(_NEEDED)].reshape(len(table), 2, POINTS).transpose(0, 2, 1)
    count = int(numbers.max()) + 1
    rows = np.flatnonzero(np.isin(numbers, np.arange(count)[part]))
    rows = rows[_one_person(numbers[rows], points[rows], face)]
    of_frame = np.full((count, len(names)), np.nan)
    of_frame[numbers[rows]] = values[rows]
    return of_frame, rate_hz


def _table(content: bytes, path: Path, needed: tuple[str, ...]) -> pa.Table:
    """Read the needed columns, and ``frame`` and ``timestamp`` if there are any, by their names without spaces."""
    try:
        header = content.split(b"\n", 1)[0].decode("utf-8-sig")
        column_of = {name.strip(): name for name in header.rstrip("\r\n").split(",")}
        places = [name for name in ("frame", "timestamp") if name in column_of]
        missing = [name for name in needed if name not in column_of] + ([] if places else ["frame"])
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            problem = f"lacks the columns {', '.join(missing[:3])}{more}"
            raise CfnsrError(
                path,
                problem,
                "Give a file written by OpenFace with " + ("-2Dfp" if needed == _NEEDED else "-2Dfp -aus"),
            )
        names = [*places, *needed]
        columns = [column_of[name] for name in names]
        convert = pacsv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.float64()))
        return pacsv.read_csv(pa.BufferReader(content), convert_options=convert).rename_columns(names)
    except (UnicodeDecodeError, pa.ArrowException) as error:
        # Arrow quotes the line, which may have thousands of cells.
        raise CfnsrError(path, f"cannot be read as CSV ({str(error)[:200]})", _REMEDY) from error


def _frame_numbers(table: pa.Table, path: Path) -> tuple[Int64[np.ndarray, " row"], float]:
    """Return the number of each row's frame, from 0, and the frame rate that the times tell; NaN if they do not."""
    times_s = table["timestamp"].to_numpy() if "timestamp" in table.column_names else np.full(len(table), np.nan)
    span_s = float(np.ptp(times_s))
    if "frame" in table.column_names:
        numbers = table["frame"].to_numpy()
        # OpenFace counts from 1. Where rows are left out, only the times tell a file that counts from 0.
        rate_hz = float(np.ptp(numbers)) / span_s if span_s > 0 else np.nan
        from_zero = span_s > 0 and np.median(numbers - times_s * rate_hz) < 0.5
        numbers = numbers - (0 if np.nanmin(numbers) < 1 or from_zero else 1)
    elif span_s > 0:
        numbers = np.round(times_s / np.median(np.diff(np.unique(times_s))))
    else:
        raise CfnsrError(path, "its timestamps do not advance", _REMEDY)
    if not (np.isfinite(numbers) & (numbers >= 0) & (numbers < _MOST_FRAMES)).all():
        raise CfnsrError(path, "has a row whose frame is not a number from 1", _REMEDY)
    return numbers.astype(np.int64), float(np.ptp(numbers)) / span_s if span_s > 0 else np.nan


def _one_person(
    numbers: Int64[np.ndarray, " row"], points: Float64[np.ndarray, "row 68 2"], face: str
) -> Int64[np.ndarray, " row2"]:
    """Return the rows of one person; all rows if no frame has two."""
    if len(np.unique(numbers)) == len(numbers):
        return np.arange(len(numbers))
    order = np.argsort(numbers, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    boxes = np.nan_to_num(np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1))
    chosen = people.follow([[boxes[row] for row in of_frame] for of_frame in rows], face)
    return np.array([of_frame[number] for of_frame, number in zip(rows, chosen, strict=True) if number is not None])
