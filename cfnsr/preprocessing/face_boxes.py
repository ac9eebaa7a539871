"""Compute a square face box for each frame, smoothed over time, from 68 landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.landmarks import Landmarks, read_frames, write_frames

_BOX_COLUMNS = ("x", "y", "side")
_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "frame": pa.int32(),
        **dict.fromkeys(_BOX_COLUMNS, pa.float64()),
        "confidence": pa.float64(),
        "interpolated": pa.bool_(),
        "skipped": pa.string(),
    }
)
_KERNEL_STDS = 3.7  # the Gaussian is cut here, where its weight is a thousandth
_LOOSE = 0.1  # share of a box's side by which smoothing may move its centre off the face of a trusted frame
_SMALLEST_PX = 2.0  # side of a face box; smaller ones come from points that were not detected
_FARTHEST_PX = 1e6  # coordinate of a point: larger than any frame, small enough for sums; NaN is not below it


@dataclass(frozen=True)
class FaceBoxes:
    """One clip's face boxes.

    Attributes:
        boxes: rows of (centre x, centre y, side) in pixels of the whole frame.
        confidence: of the detector, 0 to 1; NaN in frames that were not given to it.
        interpolated: whether a frame's box comes from its neighbours, because its landmarks are not trusted.
    """

    boxes: Float64[np.ndarray, "frame 3"]
    confidence: Float64[np.ndarray, " frame"]
    interpolated: Bool[np.ndarray, " frame"]

    def summary(self) -> dict[str, float]:
        """Return the index's columns: mean side in pixels, mean confidence, share of interpolated frames, jumps.

        A jump is a move by more than half a side between two frames that the detector got, as from one person to
        another.
        """
        checked = ~np.isnan(self.confidence)
        moves = np.linalg.norm(np.diff(self.boxes[checked, :2], axis=0), axis=1)
        return {
            "box_side_px": float(self.boxes[:, 2].mean()),
            "box_confidence": float(np.nanmean(self.confidence)),
            "box_interpolated": float(self.interpolated.sum() / checked.sum()),
            "box_jumps": int((moves > self.boxes[checked, 2][1:] / 2).sum()),
        }


def compute(
    landmarks: Landmarks,
    *,
    min_confidence: float,
    min_tracked: float,
    margin: float,
    smoothing_s: float,
    side_smoothing_s: float,
    where: object,
) -> FaceBoxes:
    """Compute the face box of each frame.

    Its side follows slowly, so that the face does not change size when the mouth opens, but stays whole when the
    person leans in. Its centre follows the head, smoothed by a Gaussian, but stays near the face in trusted frames.

    Args:
        landmarks: of every frame.
        min_confidence: frames below it are interpolated from their trusted neighbours.
        min_tracked: smallest share of trusted frames among those that the detector got.
        margin: added on each side, as a share of the face's longer side.
        smoothing_s: standard deviation in seconds of the Gaussian for the centre; 0: no smoothing.
        side_smoothing_s: standard deviation in seconds of the Gaussian for the side; 0: one side for the whole clip.
        where: landmarks and clip, for the error.

    Raises:
        CfnsrError: fewer than ``min_tracked`` of the frames show a face, or the face has no size.
    """
    checked = ~np.isnan(landmarks.confidence)
    trusted = (landmarks.confidence >= min_confidence) & (np.abs(landmarks.points) < _FARTHEST_PX).all(axis=(1, 2))
    if not trusted.any() or trusted.sum() < min_tracked * checked.sum():
        raise CfnsrError(
            where,
            f"a face is tracked in {trusted.sum()} of {checked.sum()} frames, under crop.min_tracked = {min_tracked}",
            "Remove the clip, or lower the threshold",
        )
    low, high = landmarks.points[trusted].min(axis=1), landmarks.points[trusted].max(axis=1)
    known = np.flatnonzero(trusted)
    side = _sides((high - low).max(axis=1), known, len(trusted), side_smoothing_s * landmarks.frame_rate_hz)
    side *= 1 + 2 * margin
    if not side.min() >= _SMALLEST_PX:
        raise CfnsrError(where, f"its face is {side.min():.1f} pixels wide", "Fetch the landmarks of this clip again")
    centre = _centres((low + high) / 2, known, side, smoothing_s * landmarks.frame_rate_hz)
    return FaceBoxes(np.column_stack([centre, side]), landmarks.confidence, checked & ~trusted)


def _sides(
    sizes: Float64[np.ndarray, " known"], known: Int64[np.ndarray, " known"], frames: int, std_frames: float
) -> Float64[np.ndarray, " frame"]:
    """Smooth the face's longer side; the median first, because one wrong point must not change it."""
    if std_frames == 0:
        return np.full(frames, np.median(sizes))
    from scipy.ndimage import gaussian_filter1d, median_filter  # here: a third of the time that `crop` needs to start

    every = np.interp(np.arange(frames), known, sizes)
    width = 2 * round(min(std_frames, frames / 2)) + 1
    return gaussian_filter1d(median_filter(every, width, mode="nearest"), std_frames, mode="nearest")


def _centres(
    middles: Float64[np.ndarray, "known 2"],
    known: Int64[np.ndarray, " known"],
    side: Float64[np.ndarray, " frame"],
    std_frames: float,
) -> Float64[np.ndarray, "frame 2"]:
    """Smooth the face's centre; where that would leave a trusted frame's face, follow the face."""
    centre = _interpolated(middles, known, len(side))
    if std_frames == 0:
        return centre
    from scipy.ndimage import gaussian_filter1d

    centre = gaussian_filter1d(centre, std_frames, axis=0, mode="nearest", truncate=_KERNEL_STDS)
    away = middles - centre[known]
    distance = np.linalg.norm(away, axis=1)
    excess = np.maximum(distance - _LOOSE * side[known], 0) / np.maximum(distance, _SMALLEST_PX / 2)
    return centre + _interpolated(away * excess[:, None], known, len(side))


def _interpolated(
    values: Float64[np.ndarray, "known 2"], known: Int64[np.ndarray, " known"], frames: int
) -> Float64[np.ndarray, "frame 2"]:
    """Interpolate points between the frames in which they are known; before and after these, hold them."""
    return np.stack([np.interp(np.arange(frames), known, values[:, axis]) for axis in range(2)], axis=1)


def write(path: Path, clips: Mapping[str, FaceBoxes], skipped: Mapping[str, str]) -> None:
    """Write one speaker's boxes.

    Args:
        path: the file.
        clips: by clip id.
        skipped: by clip id, why a clip has none.
    """
    columns = {
        clip: {
            **dict(zip(_BOX_COLUMNS, face.boxes.T, strict=True)),
            "confidence": face.confidence,
            "interpolated": face.interpolated,
        }
        for clip, face in clips.items()
    }
    write_frames(path, _SCHEMA, columns, skipped)


def read(path: Path) -> tuple[dict[str, FaceBoxes], dict[str, str]]:
    """Read one speaker's boxes, and why clips have none, both by clip id.

    Raises:
        CfnsrError: the file is not a file of face boxes.
    """
    tables, skipped = read_frames(path, _SCHEMA, "face boxes")
    boxes = {
        clip: FaceBoxes(
            np.column_stack([table[name].to_numpy() for name in _BOX_COLUMNS]),
            table["confidence"].to_numpy(),
            table["interpolated"].to_numpy(),
        )
        for clip, table in tables.items()
    }
    return boxes, skipped
