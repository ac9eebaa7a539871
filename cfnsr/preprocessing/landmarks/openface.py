"""Take landmarks that OpenFace found: those published apart from the clips, or a CSV file beside each clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks, media, openface_csv, video
from cfnsr.preprocessing.display import read_display
from cfnsr.preprocessing.landmarks import POINTS, Landmarks
from cfnsr.preprocessing.media import Timeline

_REMEDY = "Fetch the landmarks of this clip again"
_EYES, _MOUTH = slice(36, 48), slice(48, 68)


def finder(published: Path, **_: object) -> Callable[[Clip], Landmarks]:
    """Return a function that takes a clip's published landmarks or, without these, reads the CSV file beside it."""
    known, skipped = landmarks.read(published) if published.exists() else ({}, {})

    def find(clip: Clip) -> Landmarks:
        beside = clip.path.with_suffix(".csv")
        if clip.id in skipped:
            command = f"dvc repro -f -s published_landmarks@{published.parent.parent.name}"
            remedy = f"Fetch the published landmarks again: `cfnsr check --deep --mend && {command}`"
            raise CfnsrError(published, f"{clip.id}: {skipped[clip.id]}", remedy)
        if clip.id not in known and not beside.is_file():
            remedy = "Put OpenFace's CSV file beside it, or set landmarks.source to face_mesh or face_align"
            raise CfnsrError(clip.path, "has no landmarks", remedy)
        timeline = media.timeline(clip.path)
        part = video.of_clip(clip, timeline)
        rows = known[clip.id] if clip.id in known else openface_csv.read(beside, face=clip.face, part=part)
        whole = fit(rows, clip.path, timeline)
        return Landmarks(whole.points[part], whole.confidence[part], whole.frame_rate_hz)

    return find


def fit(rows: Landmarks, path: Path, timeline: Timeline) -> Landmarks:
    """Fit landmarks to a file's frames and to the picture as players show it.

    OpenFace is given the stored picture: its points are moved where pixels are not square, or the picture is turned.

    Args:
        rows: as ``openface_csv.parse`` returns them.
        path: the file.
        timeline: of the file.

    Raises:
        CfnsrError: the file has at least two frames fewer than the landmarks.
    """
    count, given = len(timeline.pts), len(rows.points)
    if given > count + 1:
        raise CfnsrError(path, f"has {count} frames, its landmarks {given}", "Fetch the clip and its landmarks again")
    points, confidence = np.full((count, POINTS, 2), np.nan), np.zeros(count)
    points[:given], confidence[:given] = rows.points[:count], rows.confidence[:count]
    if timeline.pixel_ratio != 1 or not _upright(points):
        points = read_display(path, timeline).of_stored(points, turned=not _upright(points))
    return Landmarks(points, confidence, timeline.frame_rate_hz)


def _upright(points: Float64[np.ndarray, "frame 68 2"]) -> bool:
    """Return whether the mouth is below the eyes in most frames, or there is no face to tell it."""
    known = points[np.isfinite(points).all(axis=(1, 2))]
    if not len(known):
        return True
    x, y = np.median(known[:, _MOUTH].mean(axis=1) - known[:, _EYES].mean(axis=1), axis=0)
    return bool(y >= abs(x))
