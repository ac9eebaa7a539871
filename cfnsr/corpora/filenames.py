"""File names that a corpus's ``prepare`` writes and its ``clips`` reads.

A clip of RAVDESS is called ``modality-channel-emotion-intensity-statement-repetition-actor.mp4``: Livingstone and
Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE 2018.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from cfnsr.errors import CfnsrError

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
INTENSITIES = ("normal", "strong")
FACE_AND_VOICE, SPEECH = "01", "01"
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".flv", ".mkv", ".webm", ".mpg"})
LABELS_FILE = "labels.parquet"  # corpus `folder`: one speaker's rows of the user's labels file, beside the clips

_FIELDS = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>[0-9]{2})"
)


class Take(NamedTuple):
    """What an actor recorded once: one clip.

    Attributes:
        label: the emotion, one of ``LABELS``.
        intensity: one of ``INTENSITIES``.
        statement: which sentence, from 1.
        repetition: which take of it, from 1.
    """

    label: str
    intensity: str
    statement: int
    repetition: int


def takes(statements: Collection[int], repetitions: int, intensities: Collection[str]) -> list[Take]:
    """List the clips of an actor; there is no strong neutral."""
    return [
        Take(label, intensity, statement, repetition)
        for label in LABELS
        for intensity in intensities
        for statement in statements
        for repetition in range(1, repetitions + 1)
        if (label, intensity) != ("neutral", "strong")
    ]


def stem(take: Take, actor: str) -> str:
    """Name a clip with face and voice, without ending: ``01-01-03-01-02-01-04``."""
    emotion, strength = LABELS.index(take.label) + 1, INTENSITIES.index(take.intensity) + 1
    return f"{FACE_AND_VOICE}-{SPEECH}-{emotion:02d}-{strength:02d}-{take.statement:02d}-{take.repetition:02d}-{actor}"


def parse(path: Path) -> tuple[Take, str]:
    """Read take and actor from a clip's file name.

    Raises:
        CfnsrError: the name does not follow RAVDESS's pattern.
    """
    match = _FIELDS.fullmatch(path.stem)
    if match is None:
        raise CfnsrError(
            path,
            "not a RAVDESS file name (seven two-digit fields joined by '-')",
            "Rename the file, or remove it from the corpus's folder",
        )
    label, intensity = LABELS[int(match["emotion"]) - 1], INTENSITIES[int(match["intensity"]) - 1]
    return Take(label, intensity, int(match["statement"]), int(match["repetition"])), match["actor"]
