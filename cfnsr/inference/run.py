"""Predictions for one recording, window after window, from its faces and its sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cfnsr.errors import CfnsrError
from cfnsr.evaluation.reference import FAR, Reference
from cfnsr.inference import faces
from cfnsr.inference.faces import DetectedFaces, Faces, FrameChoice, OpenFaceFaces, SeenFace
from cfnsr.inference.kinds import Inputs, Kind, Opinion
from cfnsr.inference.picture import Picture, Pictures, with_attention
from cfnsr.inference.recordings import ArraySource, FileSource, Recording, name_of
from cfnsr.inference.table import Row
from cfnsr.inference.voice_activity import VoiceActivity
from cfnsr.inference.windows import Window, Windowing, end_of
from cfnsr.preprocessing import container
from cfnsr.runtime import sources

_BATCH = 16  # windows that are predicted together
NAMES = {"video": "face", "audio": "voice"}  # what users call the modalities
_NO_BOX = (float("nan"),) * 3
_LEFT_OUT = "ignored on request"


@dataclass(frozen=True)
class Predictor:
    """A model, and what turns its output into rows.

    Attributes:
        kind: the model.
        temperature: divides its log-probabilities.
        reference: features of its training clips; None if not known.
        detector: returns the name and the function of the face detector.
    """

    kind: Kind
    temperature: float
    reference: Reference | None
    detector: Callable[[], tuple[str, faces.Detect]]


@dataclass(frozen=True)
class _Waiting:
    """A prepared window of one person, to be predicted in the next batch."""

    window: Window
    person: int | None
    seen: SeenFace | None
    inputs: Inputs
    missing: dict[str, str]
    picture: Picture | None


@dataclass(frozen=True)
class _Prepared:
    """The arrays of a modality in a window, or why there are none."""

    inputs: Inputs = field(default_factory=dict)
    problem: str = ""


class Run:
    """The rows of one recording, in order of time. Iterate once: the recording is read during the iteration.

    Attributes:
        name: of the recording, in the table.
        windows: of the whole recording, in order of time.
        landmarks: source of the faces; empty if no face is looked for.
        duration_s: from 0 to the end of its picture, or of its sound if it has no picture, in seconds.
        levels: largest absolute sample in each of at most 400 equal parts of ``duration_s``, 0 to 1. Empty before the
            first row, without sound, and if the sound is not read.

    Args:
        predictor: the model.
        item: a file, or a recording in memory.
        windowing: how it is cut into windows.
        face: which face to use, one of ``faces.WHO``.
        only: ``face`` or ``voice``, to ignore the other modality; None: use both.
        pictures: whether rows have pictures.

    Raises:
        CfnsrError: the file or its OpenFace CSV cannot be read, or no face detector is installed.
    """

    def __init__(
        self,
        predictor: Predictor,
        item: Path | Recording,
        windowing: Windowing,
        face: str,
        *,
        only: str | None = None,
        pictures: bool = False,
    ) -> None:
        self._predictor, self._kind = predictor, predictor.kind
        self._reads = [modality for modality in self._kind.modalities if only in (None, NAMES[modality])]
        self._path = item if isinstance(item, Path) else Path(item.name)
        self.name = name_of(self._path)
        with container.one_clip(self._path):
            self._source = FileSource(item) if isinstance(item, Path) else ArraySource(item)
        with self._reading():
            # An encoder that finds faces itself cannot return all people: it uses the one seen longest.
            chosen = "longest" if face == faces.ALL else face
            self.windows = windowing.over(self._path, self._source.timeline, chosen)
            self._sees = "video" in self._reads and bool(self._source.timeline.pts)
            self.duration_s = end_of(self._source.timeline)
            self.levels = np.zeros(0, np.float32)
            self._choice = self._kind.frame_choice if self._sees else None
            self._pictures = Pictures(self.windows if pictures and self._source.timeline.pts else [])
            self._shows = pictures
            self._source.expect(sorted({index for window in self.windows for index in self._frames_of(window)}))
            self._faces = None
            if self._choice is not None:
                self._faces = self._find_faces(self._choice, face)
            self.landmarks = "" if self._faces is None else self._faces.origin

    def _frames_of(self, window: Window) -> list[int]:
        """Return the numbers of the frames that a window needs, ascending."""
        of_model = [] if self._choice is None else self._choice.of(window)
        return sorted([*of_model, *self._pictures.frames(window)])

    def _find_faces(self, choice: FrameChoice, face: str) -> Faces:
        crop = self._kind.preprocessing["crop"]
        if self._kind.takes_csv and isinstance(self._source, FileSource) and self._path.with_suffix(".csv").is_file():
            return OpenFaceFaces(self._path, face, crop)
        origin, detect = self._predictor.detector()
        return DetectedFaces(self._path, self.windows, choice, face, origin=origin, detect=detect, crop=crop)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows.

        Raises:
            CfnsrError: a library cannot process the file.
        """
        waiting: list[_Waiting] = []
        with self._reading():
            timeline = self._source.timeline
            hears = "audio" in self._reads and bool(timeline.tracks)
            activity = None
            if hears or (self._shows and timeline.tracks):
                activity = VoiceActivity.of(self._path, timeline, self._kind.track)
                self.levels = activity.envelope(self.duration_s)
            activity = activity if hears else None
        for window in self.windows:
            with self._reading():
                waiting += self._prepare(window, activity)
                if len(waiting) < _BATCH and window is not self.windows[-1]:
                    continue
                rows = self._rows(waiting)
            waiting = []
            yield from rows

    @contextmanager
    def _reading(self) -> Iterator[None]:
        # Left between two rows, because the caller may read another recording then.
        with container.one_clip(self._path), sources.reading(self._path, self._source):
            yield

    def _prepare(self, window: Window, activity: VoiceActivity | None) -> Iterator[_Waiting]:
        """Prepare a window: one item per person seen, or one item if nobody is seen."""
        voice = self._hear(window, activity)
        faces_of_all = self._see(window)
        shown = self._pictures.of(window)
        for seen, face in [item for item in faces_of_all if item[1].inputs] or [(None, faces_of_all[0][1])]:
            prepared = {"video": face, "audio": voice}
            missing = {
                NAMES[modality]: prepared[modality].problem
                for modality in self._kind.modalities
                if not prepared[modality].inputs
            }
            person = None if not face.inputs else 0 if seen is None else seen.person
            boxes = None if seen is None else seen.boxes
            of_person = None if shown is None else self._pictures.with_face(shown, window, boxes, face.inputs)
            yield _Waiting(window, person, seen, {**face.inputs, **voice.inputs}, missing, of_person)
        if indices := self._frames_of(window):
            self._source.forget(indices[0])

    def _hear(self, window: Window, activity: VoiceActivity | None) -> _Prepared:
        if activity is None:
            return _Prepared(problem="the file has no sound" if "audio" in self._reads else _LEFT_OUT)
        if not activity.between(window.start_s, window.end_s):
            return _Prepared(problem="nobody speaks")
        return _prepared(lambda: self._kind.voice(window))

    def _see(self, window: Window) -> list[tuple[SeenFace | None, _Prepared]]:
        """Return each person seen, with their arrays; if there is none, one item with the reason."""
        if not self._sees:
            return [(None, _Prepared(problem="the file has no picture" if "video" in self._reads else _LEFT_OUT))]
        people: Sequence[SeenFace | None] = [None]
        if self._faces is not None:
            try:
                people = self._faces.of(window)
            except CfnsrError as error:  # the picture ends before this window, or cannot be decoded
                return [(None, _Prepared(problem=error.problem))]
        prepared = [(seen, _prepared(lambda seen=seen: self._kind.face(window, seen))) for seen in people]
        return prepared or [(None, _Prepared(problem="nobody is seen"))]

    def _rows(self, waiting: Sequence[_Waiting]) -> list[Row]:
        """Predict windows; those without any input get an empty opinion."""
        inputs = [of_window.inputs for of_window in waiting if of_window.inputs]
        opinions = iter(self._kind.opinions(inputs) if inputs else [])
        pictures = with_attention(
            self._kind, [of_window.picture for of_window in waiting], [of_window.inputs for of_window in waiting]
        )
        return [
            self._row(of_window, next(opinions) if of_window.inputs else Opinion(), shown)
            for of_window, shown in zip(waiting, pictures, strict=True)
        ]

    def _row(self, waiting: _Waiting, opinion: Opinion, shown: Picture | None) -> Row:
        if opinion.fused is not None and np.isnan(opinion.fused).any():
            raise CfnsrError(
                self.name, "the model's answer is no number", "Check the model: its weights may be damaged"
            )
        distance = float("nan")
        if self._predictor.reference is not None and opinion.vector is not None:
            distance = float(self._predictor.reference.percentile(opinion.vector[None])[0])
        boxes = None if waiting.seen is None else waiting.seen.boxes.boxes
        x, y, side = _NO_BOX if boxes is None else boxes[len(boxes) // 2].tolist()
        return Row(
            self.name,
            waiting.window.start_s,
            waiting.window.end_s,
            waiting.person,
            waiting.missing,
            (x, y, side),
            opinion,
            self._predictor.temperature,
            distance,
            distance >= FAR,
            shown,
        )


def _prepared(prepare: Callable[[], Inputs]) -> _Prepared:
    """Prepare a modality; if that fails (black picture, sound too short), return the problem."""
    try:
        return _Prepared(prepare())
    except CfnsrError as error:
        return _Prepared(problem=error.problem)
