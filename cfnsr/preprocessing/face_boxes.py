"""68 landmarks a frame -> one square face box a frame, steady over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float64

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.landmarks import Track
from cfnsr.runtime.outputs import atomic_file

_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "frame": pa.int32(),
        "x": pa.float64(),
        "y": pa.float64(),
        "side": pa.float64(),
        "confidence": pa.float64(),
        "interpolated": pa.bool_(),
        "skipped": pa.string(),
    }
)
# The kernel is cut where its weight has fallen to a thousandth.
_KERNEL_DEVIATIONS = 3.7
# Of a face box's side: less is no face, but points that were never found.
_SMALLEST_PX = 2.0
# Of a point from the picture's corner: beyond any picture, and far from where sums overflow. NaN is not below it.
_FARTHEST_PX = 1e6


@dataclass(frozen=True)
class FaceBoxes:
    """One clip's face boxes.

    Attributes:
        squares: rows of (centre x, centre y, side) in pixels of the whole frame.
        confidence: the tracker's own, 0 to 1; NaN where it did not look.
        interpolated: frames that it lost, whose box comes from their neighbours.
    """

    squares: Float64[np.ndarray, "frame 3"]
    confidence: Float64[np.ndarray, " frame"]
    interpolated: Bool[np.ndarray, " frame"]


def boxes(
    track: Track, *, min_confidence: float, min_tracked: float, margin: float, smoothing_s: float, source: Path
) -> FaceBoxes:
    """The square around the face in each frame.

    Its side is one for the whole clip, so that the face does not pulse when the mouth opens; its centre
    follows the head, smoothed by a Gaussian.

    Args:
        track: the landmarks of every frame.
        min_confidence: frames below it are interpolated from their trusted neighbours.
        min_tracked: least share of trusted frames among those it looked at.
        margin: added on each side, as a share of the face's longer side.
        smoothing_s: standard deviation of the Gaussian in seconds; 0 leaves the centres as they are.
        source: the file the landmarks came from, for the error.

    Raises:
        CfnsrError: fewer than ``min_tracked`` of the frames show a face, or it has no size.
    """
    looked = ~np.isnan(track.confidence)
    trusted = (track.confidence >= min_confidence) & (np.abs(track.points) < _FARTHEST_PX).all(axis=(1, 2))
    if not trusted.any() or trusted.sum() < min_tracked * looked.sum():
        raise CfnsrError(
            source,
            f"a face is tracked in {trusted.sum()} of {looked.sum()} frames, under crop.min_tracked = {min_tracked}",
            "Remove the clip, or lower the threshold",
        )
    low, high = track.points[trusted].min(axis=1), track.points[trusted].max(axis=1)
    frames, at = np.arange(len(trusted)), np.flatnonzero(trusted)
    middle = (low + high) / 2
    centre = np.stack([np.interp(frames, at, middle[:, axis]) for axis in range(2)], axis=1)
    # The median, not the largest: one stray point must not shrink the face in all frames.
    side = float(np.median((high - low).max(axis=1))) * (1 + 2 * margin)
    if not side >= _SMALLEST_PX:
        raise CfnsrError(source, f"its face is {side:.1f} pixels wide", "Fetch the landmarks of this clip again")
    steady = _smooth(centre, smoothing_s * track.frame_rate_hz)
    return FaceBoxes(np.column_stack([steady, np.full(len(frames), side)]), track.confidence, looked & ~trusted)


def _smooth(values: Float64[np.ndarray, "frame 2"], deviation: float) -> Float64[np.ndarray, "frame 2"]:
    """Convolve each column with a Gaussian of ``deviation`` frames, the ends held."""
    if deviation <= 0:
        return values
    reach = int(np.ceil(_KERNEL_DEVIATIONS * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, axis], kernel / kernel.sum(), mode="valid") for axis in range(2)], axis=1)


def write(path: Path, clips: dict[str, FaceBoxes], skipped: dict[str, str]) -> None:
    """Write one speaker's boxes.

    Args:
        path: where.
        clips: by clip id.
        skipped: by clip id, why a clip has none; it gets one row, with the reason alone.
    """
    parts = [
        pa.table(
            {
                "clip": np.full(len(one.squares), clip),
                "frame": np.arange(len(one.squares)),
                "x": one.squares[:, 0],
                "y": one.squares[:, 1],
                "side": one.squares[:, 2],
                "confidence": one.confidence,
                "interpolated": one.interpolated,
                "skipped": pa.nulls(len(one.squares), pa.string()),
            }
        ).cast(_SCHEMA)
        for clip, one in clips.items()
    ]
    reasons = [{"clip": clip, "skipped": reason} for clip, reason in skipped.items()]
    with atomic_file(path) as partial:
        pq.write_table(pa.concat_tables([*parts, pa.Table.from_pylist(reasons, schema=_SCHEMA)]), partial)


def read(path: Path) -> tuple[dict[str, FaceBoxes], dict[str, str]]:
    """One speaker's boxes, and why clips have none, both by clip id.

    Raises:
        CfnsrError: it is not such a file.
    """
    try:
        table = pq.read_table(path, schema=_SCHEMA)
    except (OSError, pa.ArrowInvalid) as error:
        raise CfnsrError(path, f"is not a file of face boxes ({error})", "Run `dvc repro crop`") from error
    refused = np.array([reason is not None for reason in table["skipped"].to_pylist()], bool)
    skipped = table.filter(pa.array(refused)).to_pylist()
    table = table.filter(pa.array(~refused))
    columns = {name: table[name].to_numpy() for name in _SCHEMA.names}
    first = np.flatnonzero(columns["frame"] == 0)
    ends = np.append(first, len(table))[1:]
    found = {
        str(columns["clip"][start]): FaceBoxes(
            np.column_stack([columns[name][start:end] for name in ("x", "y", "side")]),
            columns["confidence"][start:end],
            columns["interpolated"][start:end],
        )
        for start, end in zip(first, ends, strict=True)
    }
    return found, {row["clip"]: row["skipped"] for row in skipped}
