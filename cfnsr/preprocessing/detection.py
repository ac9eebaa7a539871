"""Detect one person's landmarks in the frames of a clip that extraction uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from cfnsr.corpora.clip import Clip
from cfnsr.preprocessing import media, people, video
from cfnsr.preprocessing.landmarks import POINTS, Landmarks

Image = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes:
        box: left, top, right and bottom of the detection, in pixels.
        points: x and y in pixels.
        confidence: 0 to 1.
    """

    box: Float64[np.ndarray, " 4"]
    points: Float64[np.ndarray, "68 2"]
    confidence: float


def finder(
    detect: Callable[[Iterator[Image]], Iterable[list[Face]]],
    *,
    offset_s: float,
    window_s: float,
    frames: int,
    decoder: str,
) -> Callable[[Clip], Landmarks]:
    """Return a function that finds the landmarks of one person in a clip, by default of the one seen longest.

    Args:
        detect: returns the faces of each image, RGB.
        offset_s, window_s: of ``extract``.
        frames, decoder: of ``extract.video``.
    """

    def find(clip: Clip) -> Landmarks:
        timeline = media.timeline(clip.path)
        part = video.of_clip(clip, timeline)
        times_s = timeline.times_s[part] - clip.start_s
        indices = sorted(set(video.evenly_spaced(times_s, frames, offset_s=offset_s, window_s=window_s)))
        shown = video.frames(clip.path, timeline, [part.start + index for index in indices], decoder=decoder)
        faces = list(detect(frame.image for frame in shown))
        person = people.follow([[face.box for face in of_frame] for of_frame in faces], clip.face)
        points = np.full((len(times_s), POINTS, 2), np.nan)
        confidence = np.full(len(times_s), np.nan)
        for index, of_frame, number in zip(indices, faces, person, strict=True):
            confidence[index] = 0.0 if number is None else of_frame[number].confidence
            if number is not None:
                points[index] = of_frame[number].points
        return Landmarks(points, confidence, timeline.frame_rate_hz)

    return find
