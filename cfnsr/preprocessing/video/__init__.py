"""Read chosen RGB frames of a video with one of two decoders; crop a square from a frame.

A decoder is a file of this package with a function ``frames(path, timeline, indices)``. ``extract.video.decoder`` in
params.yaml gives the file's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.media import Timeline
from cfnsr.runtime import registry, sources


@dataclass(frozen=True)
class Frame:
    """A frame as a player shows it.

    Attributes:
        image: RGB, upright, in square pixels.
        scaled: whether the file changed its picture's size, so that this frame was scaled to that of the first.
    """

    image: UInt8[np.ndarray, "height width 3"]
    scaled: bool


def names() -> list[str]:
    """List the decoders that ``extract.video.decoder`` may name."""
    return registry.names(__name__)


def frames(path: Path, timeline: Timeline, indices: list[int], *, decoder: str) -> Iterator[Frame]:
    """Decode the frames at ``indices``, one at a time.

    Args:
        path: the video.
        timeline: of the video.
        indices: of the frames, ascending; an index may repeat.
        decoder: a file of this package.

    Raises:
        CfnsrError: a frame cannot be decoded, or the decoder is not installed.
    """
    source = sources.of(path)
    if source is not None:
        return source.frames(indices)
    module = registry.load(__name__, decoder, where="extract.video.decoder", kind="decoder")
    return module.frames(path, timeline, indices)


def of_clip(clip: Clip, timeline: Timeline) -> slice:
    """Return which frames of its file a clip has.

    Raises:
        CfnsrError: it has none.
    """
    first, end = np.searchsorted(timeline.times_s.round(6), [clip.start_s, clip.end_s]).tolist()
    if first == end:
        problem = f"has no frame from {clip.start_s} s to {clip.end_s} s, which is the clip {clip.id}"
        raise CfnsrError(clip.path, problem, "Correct start_s and end_s in the labels file, or remove the row")
    return slice(first, end)


def evenly_spaced(
    times_s: Float64[np.ndarray, " frame"], count: int, *, offset_s: float = 0.0, window_s: float = np.inf
) -> list[int]:
    """Return the ascending indices of the frames nearest to ``count`` evenly spaced times of a window.

    With too few frames, some are repeated. Times and not indices are evenly spaced, because a camera may change its
    frame rate.

    Args:
        times_s: of the frames, ascending, in seconds.
        count: of indices.
        offset_s: start of the window in seconds; a clip that is shorter gives its last frame.
        window_s: length of the window in seconds; it ends with the clip.
    """
    first, last = np.clip([offset_s, offset_s + window_s], times_s[0], times_s[-1])
    halfway = (times_s[1:] + times_s[:-1]) / 2
    # Rounded, so that the same clip in another container gives the same frames where two are equally near.
    return np.searchsorted(halfway.round(6), np.linspace(first, last, count).round(6)).tolist()


def crop(
    image: UInt8[np.ndarray, "height width 3"], box: Float64[np.ndarray, " 3"], side_px: int
) -> UInt8[np.ndarray, "side side 3"]:
    """Crop a square (centre x, centre y, side; pixels), scaled to ``side_px``; outside the image its edge repeats."""
    x, y, side = box
    whole = max(round(side), 1)
    left, top = round(x - whole / 2), round(y - whole / 2)
    height, width = image.shape[:2]
    if left >= 0 and top >= 0 and left + whole <= width and top + whole <= height:
        square = image[top : top + whole, left : left + whole]
    else:
        rows = np.clip(np.arange(top, top + whole), 0, height - 1)
        columns = np.clip(np.arange(left, left + whole), 0, width - 1)
        square = image[rows[:, None], columns]
    # Area averaging does not alias when it shrinks; it does nothing useful when it enlarges.
    method = cv2.INTER_AREA if whole >= side_px else cv2.INTER_LINEAR
    return cv2.resize(square, (side_px, side_px), interpolation=method)
