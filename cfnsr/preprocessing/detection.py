"""Detect the faces in chosen frames of a clip, and follow one person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float64, UInt8

from cfnsr.corpora.clip import Clip
from cfnsr.preprocessing import media, people, video
from cfnsr.preprocessing.landmarks import POINTS, Landmarks
from cfnsr.preprocessing.media import Timeline

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


AnyFace = TypeVar("AnyFace", bound=Face)


@dataclass(frozen=True)
class Followed(Generic[AnyFace]):
    """One person in chosen frames of a clip.

    Attributes:
        timeline: of the clip's file.
        times_s: of all frames of the clip, in seconds from its start.
        faces: by the number of each chosen frame within the clip; None where the person was not found.
    """

    timeline: Timeline
    times_s: Float64[np.ndarray, " frame"]
    faces: dict[int, AnyFace | None]


def follow(
    clip: Clip,
    detect: Callable[[Iterator[Image]], Iterable[list[AnyFace]]],
    *,
    offset_s: float,
    window_s: float,
    frames: int,
    decoder: str,
) -> Followed[AnyFace]:
    """Follow one person, by default the one seen longest, through evenly spaced frames of a clip.

    Args:
        clip: the clip.
        detect: returns the faces of each image, RGB.
        offset_s, window_s: see ``video.evenly_spaced``.
        frames: number of frames; fewer where the clip has fewer.
        decoder: a file of ``cfnsr.preprocessing.video``.
    """
    timeline = media.timeline(clip.path)
    part = video.of_clip(clip, timeline)
    times_s = timeline.times_s[part] - clip.start_s
    indices = sorted(set(video.evenly_spaced(times_s, frames, offset_s=offset_s, window_s=window_s)))
    shown = video.frames(clip.path, timeline, [part.start + index for index in indices], decoder=decoder)
    faces = list(detect(frame.image for frame in shown))
    person = people.follow([[face.box for face in of_frame] for of_frame in faces], clip.face)
    chosen = [None if number is None else of_frame[number] for of_frame, number in zip(faces, person, strict=True)]
    return Followed(timeline, times_s, dict(zip(indices, chosen, strict=True)))


def finder(detect: Callable[[Iterator[Image]], Iterable[list[Face]]], **frames: Any) -> Callable[[Clip], Landmarks]:
    """Return a function that finds the landmarks of one person in a clip.

    Args:
        detect: returns the faces of each image, RGB.
        frames: ``offset_s``, ``window_s``, ``frames`` and ``decoder`` of ``follow``, as ``extract`` has them.
    """

    def find(clip: Clip) -> Landmarks:
        person = follow(clip, detect, **frames)
        return of_person(person.faces, len(person.times_s), person.timeline.frame_rate_hz)

    return find


def of_person(faces: Mapping[int, Face | None], count: int, frame_rate_hz: float) -> Landmarks:
    """Return the landmarks of one person.

    Args:
        faces: by the number of each frame that was given to the detector; None where the person was not found.
        count: of all frames.
        frame_rate_hz: frames a second.
    """
    points, confidence = np.full((count, POINTS, 2), np.nan), np.full(count, np.nan)
    for index, face in faces.items():
        confidence[index] = 0.0 if face is None else face.confidence
        if face is not None:
            points[index] = face.points
    return Landmarks(points, confidence, frame_rate_hz)
