"""File names that a corpus's ``prepare`` writes and its ``clips`` reads.

A clip of RAVDESS is named ``modality-channel-emotion-intensity-statement-repetition-actor.mp4``: Livingstone and
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
VIDEO_AND_AUDIO, SPEECH = "01", "01"
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".flv", ".mkv", ".webm", ".mpg"})
AUDIO_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".m4a", ".ogg", ".opus", ".aac", ".wma", ".aiff", ".aif"})
MEDIA_SUFFIXES = VIDEO_SUFFIXES | AUDIO_SUFFIXES
LABELS_FILE = "labels.parquet"  # corpus `folder`: one speaker's rows of the user's labels file, beside the clips

_FIELDS = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>[0-9]{2})"
)


class Take(NamedTuple):
    """A recording of a sentence with an emotion.

    Attributes:
        label: the emotion, one of ``LABELS``.
        intensity: one of ``INTENSITIES``.
        statement: number of the sentence, from 1.
        repetition: number of the sentence's recording, from 1.
    """

    label: str
    intensity: str
    statement: int
    repetition: int


def takes(statements: Collection[int], repetitions: int, intensities: Collection[str]) -> list[Take]:
    """List the recordings of an actor; there is no strong neutral."""
    return [
        Take(label, intensity, statement, repetition)
        for label in LABELS
        for intensity in intensities
        for statement in statements
        for repetition in range(1, repetitions + 1)
        if (label, intensity) != ("neutral", "strong")
    ]


def stem(take: Take, actor: str) -> str:
    """Return the file name of a clip with video and audio, without its suffix: ``01-01-03-01-02-01-04``."""
    emotion, strength = LABELS.index(take.label) + 1, INTENSITIES.index(take.intensity) + 1
    return f"{VIDEO_AND_AUDIO}-{SPEECH}-{emotion:02d}-{strength:02d}-{take.statement:02d}-{take.repetition:02d}-{actor}"


def parse(path: Path) -> tuple[Take, str]:
    """Read recording and actor from a clip's file name.

    Raises:
        CfnsrError: the name does not follow RAVDESS's pattern.
    """
    match = _FIELDS.fullmatch(path.stem)
    if match is None:
        problem = "is not a RAVDESS file name (seven two-digit fields joined by '-')"
        raise CfnsrError(path, problem, "Rename the file, or remove it from the corpus's folder")
    label, intensity = LABELS[int(match["emotion"]) - 1], INTENSITIES[int(match["intensity"]) - 1]
    return Take(label, intensity, int(match["statement"]), int(match["repetition"])), match["actor"]
