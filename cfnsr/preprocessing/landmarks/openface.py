"""Read landmarks from OpenFace's CSV: one row a frame, 712 columns in version 2.1, of which 138 are read.

Baltrusaitis, Zadeh, Lim and Morency, "OpenFace 2.0: Facial Behavior Analysis Toolkit", FG 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks
from cfnsr.preprocessing.landmarks import POINTS, Landmarks

_REMEDY = "Fetch the landmarks of this clip again"
_COLUMNS = ("timestamp", "confidence", *(f"{axis}_{number}" for axis in "xy" for number in range(POINTS)))


def finder(published: Path, **_: object) -> Callable[[Clip], Landmarks]:
    """Return a function that takes a clip's published landmarks or, without these, reads the CSV file beside it."""
    known, skipped = landmarks.read(published) if published.is_file() else ({}, {})

    def find(clip: Clip) -> Landmarks:
        beside = clip.path.with_suffix(".csv")
        if clip.id in known:
            return known[clip.id]
        if clip.id in skipped:
            raise CfnsrError(published, f"{clip.id}: {skipped[clip.id]}", _REMEDY)
        if not beside.is_file():
            remedy = "Put OpenFace's CSV file beside it, or set landmarks.source to face_align"
            raise CfnsrError(clip.path, "has no landmarks", remedy)
        return read(beside)

    return find


def read(path: Path) -> Landmarks:
    """Read the landmarks of one clip.

    Raises:
        CfnsrError: the file cannot be read, or ``parse`` raises it.
    """
    try:
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error})", _REMEDY) from error


def parse(content: bytes, path: Path) -> Landmarks:
    """Parse a CSV file's bytes. Columns are found by name; others are ignored.

    Args:
        content: of the file.
        path: of the file, for the error.

    Raises:
        CfnsrError: it is not a CSV file, lacks a column, or has fewer than two frames.
    """
    try:
        header = content.split(b"\n", 1)[0].decode("utf-8")
        column_of = {name.strip(): name for name in header.rstrip("\r\n").split(",")}
        missing = [name for name in _COLUMNS if name not in column_of]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            problem = f"lacks the columns {', '.join(missing[:3])}{more}"
            raise CfnsrError(path, problem, "Give a file written by OpenFace with -2Dfp")
        columns = [column_of[name] for name in _COLUMNS]
        convert = pacsv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.float64()))
        table = pacsv.read_csv(pa.BufferReader(content), convert_options=convert)
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        # Arrow quotes the line, which may have thousands of cells.
        raise CfnsrError(path, f"cannot be read as CSV ({str(error)[:200]})", _REMEDY) from error
    if len(table) < 2:
        raise CfnsrError(path, f"has {len(table)} frames", _REMEDY)
    values = np.stack([column.to_numpy() for column in table.columns], axis=1)
    points = values[:, 2:].reshape(len(table), 2, POINTS).transpose(0, 2, 1)
    span_s = values[-1, 0] - values[0, 0]
    if not span_s > 0:
        raise CfnsrError(path, "its timestamps do not advance", _REMEDY)
    return Landmarks(points, np.nan_to_num(values[:, 1]), frame_rate_hz=float((len(table) - 1) / span_s))
