"""Compute one square face box a frame, steady over time, from 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float64

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.landmarks import Landmarks
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
_KERNEL_STDS = 3.7  # at which the Gaussian is cut: its weight has fallen to a thousandth
# Of a face box's side: a smaller one is no face, but points that were never found.
_SMALLEST_PX = 2.0
# Of a point from the picture's corner: beyond any picture, and far from where sums overflow. NaN is not below it.
_FARTHEST_PX = 1e6


@dataclass(frozen=True)
class FaceBoxes:
    """One clip's face boxes.

    Attributes:
        boxes: rows of (centre x, centre y, side) in pixels of the whole frame.
        confidence: of the detector, 0 to 1; NaN where it did not look.
        interpolated: frames without a trusted face, whose box comes from their neighbours.
    """

    boxes: Float64[np.ndarray, "frame 3"]
    confidence: Float64[np.ndarray, " frame"]
    interpolated: Bool[np.ndarray, " frame"]

    def summary(self) -> dict[str, float]:
        """Return side in pixels, mean confidence, and share of interpolated frames among those looked at."""
        return {
            "box_side_px": float(self.boxes[0, 2]),
            "box_confidence": float(np.nanmean(self.confidence)),
            "box_interpolated": float(self.interpolated.sum() / (~np.isnan(self.confidence)).sum()),
        }


def compute(
    landmarks: Landmarks, *, min_confidence: float, min_tracked: float, margin: float, smoothing_s: float, where: object
) -> FaceBoxes:
    """Compute the square around the face in each frame.

    Its side is the same for the whole clip, so that the face does not change size when the mouth opens; its centre
    follows the head, smoothed by a Gaussian.

    Args:
        landmarks: of every frame.
        min_confidence: frames below it are interpolated from their trusted neighbours.
        min_tracked: least share of trusted frames among those the detector looked at.
        margin: added on each side, as a share of the face's longer side.
        smoothing_s: standard deviation of the Gaussian in seconds; 0 leaves the centres as they are.
        where: what an error names.

    Raises:
        CfnsrError: fewer than ``min_tracked`` of the frames show a face, or it has no size.
    """
    looked = ~np.isnan(landmarks.confidence)
    trusted = (landmarks.confidence >= min_confidence) & (np.abs(landmarks.points) < _FARTHEST_PX).all(axis=(1, 2))
    if not trusted.any() or trusted.sum() < min_tracked * looked.sum():
        raise CfnsrError(
            where,
            f"a face is tracked in {trusted.sum()} of {looked.sum()} frames, under crop.min_tracked = {min_tracked}",
            "Remove the clip, or lower the threshold",
        )
    low, high = landmarks.points[trusted].min(axis=1), landmarks.points[trusted].max(axis=1)
    frames, known = np.arange(len(trusted)), np.flatnonzero(trusted)
    middle = (low + high) / 2
    centre = np.stack([np.interp(frames, known, middle[:, axis]) for axis in range(2)], axis=1)
    # The median, not the largest: one stray point must not shrink the face in all frames.
    side = float(np.median((high - low).max(axis=1))) * (1 + 2 * margin)
    if not side >= _SMALLEST_PX:
        raise CfnsrError(where, f"its face is {side:.1f} pixels wide", "Fetch the landmarks of this clip again")
    std_frames = smoothing_s * landmarks.frame_rate_hz
    if std_frames > 0:
        from scipy.ndimage import gaussian_filter1d  # here, as it takes a third of a start of `crop`

        centre = gaussian_filter1d(centre, std_frames, axis=0, mode="nearest", truncate=_KERNEL_STDS)
    return FaceBoxes(np.column_stack([centre, np.full(len(frames), side)]), landmarks.confidence, looked & ~trusted)


def write(path: Path, clips: dict[str, FaceBoxes], skipped: dict[str, str]) -> None:
    """Write one speaker's boxes.

    Args:
        path: where.
        clips: by clip id.
        skipped: by clip id, why a clip has none; such a clip gets one row that holds only the reason.
    """
    parts = [
        pa.table(
            {
                "clip": np.full(len(face.boxes), clip),
                "frame": np.arange(len(face.boxes)),
                "x": face.boxes[:, 0],
                "y": face.boxes[:, 1],
                "side": face.boxes[:, 2],
                "confidence": face.confidence,
                "interpolated": face.interpolated,
                "skipped": pa.nulls(len(face.boxes), pa.string()),
            }
        ).cast(_SCHEMA)
        for clip, face in clips.items()
    ]
    reasons = [{"clip": clip, "skipped": reason} for clip, reason in skipped.items()]
    with atomic_file(path) as partial:
        pq.write_table(pa.concat_tables([*parts, pa.Table.from_pylist(reasons, schema=_SCHEMA)]), partial)


def read(path: Path) -> tuple[dict[str, FaceBoxes], dict[str, str]]:
    """Read one speaker's boxes, and why clips have none, both by clip id.

    Raises:
        CfnsrError: it is not such a file.
    """
    try:
        table = pq.read_table(path, schema=_SCHEMA)
    except (OSError, pa.ArrowInvalid) as error:
        raise CfnsrError(path, f"is not a file of face boxes ({error})", "Run `dvc repro crop`") from error
    skipped = table.filter(table["skipped"].is_valid()).to_pylist()
    table = table.filter(table["skipped"].is_null())
    columns = {name: table[name].to_numpy() for name in _SCHEMA.names}
    first = np.flatnonzero(columns["frame"] == 0)
    ends = np.append(first, len(table))[1:]
    boxes = {
        str(columns["clip"][start]): FaceBoxes(
            np.column_stack([columns[name][start:end] for name in ("x", "y", "side")]),
            columns["confidence"][start:end],
            columns["interpolated"][start:end],
        )
        for start, end in zip(first, ends, strict=True)
    }
    return boxes, {row["clip"]: row["skipped"] for row in skipped}
