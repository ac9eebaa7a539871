"""Follow one person through the faces that a detector finds in a clip's frames."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from cfnsr.corpora.clip import FACES

Box = Float64[np.ndarray, " 4"]  # left, top, right, bottom in pixels
_REACH = 1.0  # a face may move so far from one frame to the next, in sides of its box
_BRIEF = 0.5  # of the frames of the person seen longest: who is seen in fewer is seen briefly


@dataclass(eq=False)
class _Person:
    """A person seen so far.

    Attributes:
        last: the newest box.
        faces: by frame, the number of the person's face among those of the frame.
        areas: of all boxes, in square pixels.
        centres: of all boxes, from left to right, in pixels.
    """

    last: Box
    faces: dict[int, int] = field(default_factory=dict)
    areas: list[float] = field(default_factory=list)
    centres: list[float] = field(default_factory=list)

    def add(self, frame: int, face: int, box: Box) -> None:
        self.faces[frame], self.last = face, box
        self.areas.append(float((box[2] - box[0]) * (box[3] - box[1])))
        self.centres.append(float(box[0] + box[2]) / 2)


class People:
    """The people seen so far, in the order in which they were first seen; their place in it is their number.

    A face belongs to the person whose newest box overlaps it most, or, if none does, is nearest within one side of
    the box; it begins a new person otherwise.
    """

    def __init__(self) -> None:
        self._people: list[_Person] = []

    def __len__(self) -> int:
        return len(self._people)

    def add(self, frame: int, boxes: list[Box]) -> None:
        """Say whose the faces of a frame are; frames come in order of time."""
        free_people, free_faces = list(self._people), list(range(len(boxes)))
        pairs = [(_closeness(person.last, boxes[face]), person, face) for person in free_people for face in free_faces]
        for closeness, person, face in sorted(pairs, key=lambda pair: -pair[0]):
            if closeness > 0 and person in free_people and face in free_faces:
                person.add(frame, face, boxes[face])
                free_people.remove(person)
                free_faces.remove(face)
        for face in free_faces:
            self._people.append(_Person(boxes[face]))
            self._people[-1].add(frame, face, boxes[face])

    def choose(self, which: str, frames: Collection[int]) -> list[int]:
        """Return the numbers of those who are asked for, of the people seen in some frames.

        Args:
            which: one of ``cfnsr.corpora.clip.FACES``, which is one person at most; or ``all``, who are seen in half
                as many frames as the one seen in most.
            frames: their numbers.
        """
        counts = [sum(frame in person.faces for frame in frames) for person in self._people]
        seen = [number for number, count in enumerate(counts) if count]
        if which == "longest" or not seen:
            areas = [float(np.mean(person.areas)) for person in self._people]
            return [max(seen, key=lambda number: (counts[number], areas[number]))] if seen else []
        # Who is seen briefly is not chosen by size or side.
        often = [number for number in seen if counts[number] >= _BRIEF * max(counts)]
        if which == "all":
            return often
        return [min(often, key=lambda number: _ORDER[which](self._people[number]))]

    def face(self, person: int, frame: int) -> int | None:
        """Return the number of a person's face among those of a frame; None where it was not found."""
        return self._people[person].faces.get(frame)


_ORDER: dict[str, Callable[[_Person], float]] = {
    "largest": lambda person: -float(np.mean(person.areas)),
    "left": lambda person: float(np.mean(person.centres)),
    "right": lambda person: -float(np.mean(person.centres)),
}


def follow(frames: list[list[Box]], which: str = FACES[0]) -> list[int | None]:
    """Choose one person: the one seen in the most frames, and of several the largest, or by size or side.

    Args:
        frames: the faces of each frame, in order of time.
        which: one of ``cfnsr.corpora.clip.FACES``.

    Returns:
        For each frame, the number of the person's face among the frame's faces, or None where it was not found.
    """
    people = People()
    for number, boxes in enumerate(frames):
        people.add(number, boxes)
    chosen = people.choose(which, range(len(frames)))
    return [people.face(chosen[0], number) if chosen else None for number in range(len(frames))]


def _closeness(last: Box, box: Box) -> float:
    """Return 1 to 2 for boxes that overlap, 0 to 1 for boxes within reach, by their distance; else 0."""
    shared = np.minimum(last[2:], box[2:]) - np.maximum(last[:2], box[:2])
    if (shared > 0).all():
        intersection = float(shared.prod())
        union = float((last[2:] - last[:2]).prod() + (box[2:] - box[:2]).prod()) - intersection
        return 1 + intersection / union
    side = float(max((last[2:] - last[:2]).max(), (box[2:] - box[:2]).max()))
    distance = float(np.linalg.norm((last[:2] + last[2:]) / 2 - (box[:2] + box[2:]) / 2))
    return max(0.0, 1 - distance / (_REACH * side)) if side > 0 else 0.0
