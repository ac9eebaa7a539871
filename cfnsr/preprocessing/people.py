"""Follow one person through the faces that a detector finds in a clip's frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from cfnsr.corpora.clip import FACES

Box = Float64[np.ndarray, " 4"]  # left, top, right, bottom in pixels
_REACH = 1.0  # a face may move so far from one frame to the next, in sides of its box
_BRIEF = 0.5  # of the frames of the person seen longest: who is seen in fewer is not chosen by size or side


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


def follow(frames: list[list[Box]], which: str = FACES[0]) -> list[int | None]:
    """Choose one person: the one seen in the most frames, and of several the largest, or by size or side.

    A face belongs to the person whose newest box overlaps it most, or, if none does, is nearest within one side of
    the box; it begins a new person otherwise.

    Args:
        frames: the faces of each frame, in order of time.
        which: one of ``cfnsr.corpora.clip.FACES``.

    Returns:
        For each frame, the number of the person's face among the frame's faces, or None where it was not found.
    """
    people: list[_Person] = []
    for number, boxes in enumerate(frames):
        free_people, free_faces = list(people), list(range(len(boxes)))
        pairs = [(_closeness(person.last, boxes[face]), person, face) for person in people for face in free_faces]
        for closeness, person, face in sorted(pairs, key=lambda pair: -pair[0]):
            if closeness > 0 and person in free_people and face in free_faces:
                person.add(number, face, boxes[face])
                free_people.remove(person)
                free_faces.remove(face)
        for face in free_faces:
            people.append(_Person(boxes[face]))
            people[-1].add(number, face, boxes[face])
    if not people:
        return [None] * len(frames)
    chosen = _choose(people, which)
    return [chosen.faces.get(number) for number in range(len(frames))]


def _choose(people: list[_Person], which: str) -> _Person:
    if which == "longest":
        return max(people, key=lambda person: (len(person.faces), float(np.mean(person.areas))))
    longest = max(len(person.faces) for person in people)
    people = [person for person in people if len(person.faces) >= _BRIEF * longest]
    keys = {
        "largest": lambda person: -float(np.mean(person.areas)),
        "left": lambda person: float(np.mean(person.centres)),
        "right": lambda person: -float(np.mean(person.centres)),
    }
    return min(people, key=keys[which])


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
