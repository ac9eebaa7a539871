"""The faces in a file's windows: found once in each frame, linked over time, and their boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cfnsr.corpora.clip import FACES
from cfnsr.errors import CfnsrError
from cfnsr.inference.windows import Window
from cfnsr.preprocessing import detection, face_boxes, openface_csv, video
from cfnsr.preprocessing.detection import Face, Image
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.preprocessing.landmarks import Landmarks, face_align, face_mesh, openface
from cfnsr.preprocessing.media import Timeline
from cfnsr.preprocessing.people import People
from cfnsr.runtime import sources

ALL = "all"
WHO = ("largest", ALL, "left", "right")  # that a user may ask for
Detect = Callable[[Iterator[Image]], Iterable[Sequence[Face]]]


@dataclass(frozen=True)
class SeenFace:
    """A person in a window.

    Attributes:
        person: their number in the file, from 0.
        boxes: of all frames of the window.
        faces: in the frames that were looked at, None where it was not found; empty if no detector was used.
    """

    person: int
    boxes: FaceBoxes
    faces: Sequence[Face | None] = ()


@runtime_checkable
class Faces(Protocol):
    """Finds the faces of one file's windows, which are asked for in order of time.

    Attributes:
        origin: where the landmarks come from, one of ``cfnsr.preprocessing.landmarks.names()``.
    """

    origin: str

    def of(self, window: Window) -> list[SeenFace]:
        """Return who is asked for in a window; empty if nobody is seen well enough.

        Raises:
            CfnsrError: the picture cannot be decoded.
        """
        ...


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of a window are looked at: evenly spaced over a part of it.

    Attributes:
        count: of frames.
        window_s: length of the part in seconds, from ``Window.offset_s``.
    """

    count: int
    window_s: float

    def of(self, window: Window) -> list[int]:
        """Return the ascending numbers of the frames within the file; empty where the window has no picture."""
        source = sources.opened(window.clip.path)
        try:
            part = video.of_clip(window.clip, source.timeline)
        except CfnsrError:
            return []
        times_s = source.timeline.times_s[part] - window.clip.start_s
        chosen = video.evenly_spaced(times_s, self.count, offset_s=window.offset_s, window_s=self.window_s)
        return [part.start + index for index in chosen]


class OpenFaceFaces:
    """Faces from the CSV that OpenFace wrote beside the file; of several people, one is followed through the file.

    Args:
        path: the file.
        which: one of ``WHO``; ``all`` is the person seen longest.
        crop: options of ``face_boxes.compute``.

    Raises:
        CfnsrError: the CSV cannot be read, or belongs to another file.
    """

    origin = "openface"

    def __init__(self, path: Path, which: str, crop: Mapping[str, Any]) -> None:
        self._timeline, self._crop = _timeline(path), crop
        face = FACES[0] if which == ALL else which
        self._known = openface.fit(openface_csv.read(path.with_suffix(".csv"), face=face), path, self._timeline)

    def of(self, window: Window) -> list[SeenFace]:
        """Return the person; see ``Faces``."""
        part = video.of_clip(window.clip, self._timeline)
        known = self._known
        landmarks = Landmarks(known.points[part], known.confidence[part], known.frame_rate_hz)
        boxes = _boxes(landmarks, self._crop, window)
        return [] if boxes is None else [SeenFace(0, boxes)]


class DetectedFaces:
    """Faces that a detector finds in the chosen frames of all windows, each frame once.

    Args:
        path: the file.
        windows: all that will be asked for.
        choice: of frames.
        which: one of ``WHO``.
        origin: name of the detector.
        detect: returns the faces of each image, RGB.
        crop: options of ``face_boxes.compute``.
    """

    def __init__(
        self,
        path: Path,
        windows: list[Window],
        choice: FrameChoice,
        which: str,
        *,
        origin: str,
        detect: Detect,
        crop: Mapping[str, Any],
    ) -> None:
        self.origin = origin
        self._timeline, self._which, self._choice = _timeline(path), which, choice
        self._detect, self._crop, self._path = detect, crop, path
        self._ahead = sorted({index for window in windows for index in choice.of(window)}, reverse=True)
        self._people = People()
        self._faces: dict[int, Sequence[Face]] = {}

    def of(self, window: Window) -> list[SeenFace]:
        """Return who is asked for; see ``Faces``."""
        part = video.of_clip(window.clip, self._timeline)
        indices = sorted(set(self._choice.of(window)))
        self._look(indices[-1])
        self._faces = {index: faces for index, faces in self._faces.items() if index >= indices[0]}
        seen = []
        for person in self._people.choose(self._which, indices):
            faces = {index - part.start: self._face(person, index) for index in indices}
            landmarks = detection.of_person(faces, part.stop - part.start, self._timeline.frame_rate_hz)
            boxes = _boxes(landmarks, self._crop, window)
            if boxes is not None:
                seen.append(SeenFace(person, boxes, [*faces.values()]))
        return seen

    def _look(self, last: int) -> None:
        """Detect the faces of the frames up to ``last`` that were not yet looked at."""
        new = []
        while self._ahead and self._ahead[-1] <= last:
            new.append(self._ahead.pop())
        source = sources.opened(self._path)
        pictures = (frame.image for frame in source.frames(new))
        for index, faces in zip(new, self._detect(pictures), strict=True):
            self._faces[index] = faces
            self._people.add(index, [face.box for face in faces])

    def _face(self, person: int, index: int) -> Face | None:
        number = self._people.face(person, index)
        return None if number is None else self._faces[index][number]


def _boxes(landmarks: Landmarks, crop: Mapping[str, Any], window: Window) -> FaceBoxes | None:
    """Compute a person's boxes; None if it is seen in too few frames, or too small, as the table then says."""
    # As precise as the pipeline's files of landmarks, so that the same points give the same boxes.
    landmarks = replace(landmarks, points=landmarks.points.astype(np.float32).astype(np.float64))
    try:
        return face_boxes.compute(landmarks, **crop, where=window.clip.id)
    except CfnsrError:
        return None


def _timeline(path: Path) -> Timeline:
    source = sources.opened(path)
    return source.timeline


def detector(made_by: Mapping[str, Any]) -> tuple[str, Detect]:
    """Return the name and the function of the detector that is used for videos without OpenFace's CSV.

    It is the one that made the training clips' landmarks, if it can be used, else another.

    Args:
        made_by: ``landmarks`` of a model's ``preprocessing``.

    Raises:
        CfnsrError: no detector is installed.
    """
    align: dict[str, Any] = {"device": "auto", "batch_size": 8, "compile": False, "fetch_weights": False}
    makers: dict[str, Callable[[], Detect]] = {
        "face_mesh": partial(face_mesh.detector, min_score=made_by.get("min_score", 0.5)),
        "face_align": partial(
            face_align.faces, detector=made_by.get("detector", "sfd"), points=made_by.get("points", True), **align
        ),
        "face_align (dlib)": partial(face_align.faces, detector="dlib", points=False, **align),
    }
    first = made_by.get("source")
    reasons = []
    for name in sorted(makers, key=lambda name: name != first):
        try:
            return name, makers[name]()
        except CfnsrError as error:
            reasons.append(error)
    assert reasons
    raise CfnsrError("faces", f"no detector can be used ({reasons[0].problem})", reasons[0].remedy)
