"""RAVDESS file names: ``modality-channel-emotion-intensity-statement-repetition-actor.mp4``.

Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
INTENSITIES = ("normal", "strong")
FACE_AND_VOICE, SPEECH = "01", "01"

_FIELDS = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>[0-9]{2})"
)


def name(*, label: str, intensity: str, statement: int, repetition: int, actor: str) -> str:
    """The name without ending of a clip with face and voice: ``01-01-03-01-02-01-04``."""
    emotion = LABELS.index(label) + 1
    strength = INTENSITIES.index(intensity) + 1
    return f"{FACE_AND_VOICE}-{SPEECH}-{emotion:02d}-{strength:02d}-{statement:02d}-{repetition:02d}-{actor}"


def parse(path: Path) -> Clip:
    """Read a clip's description from its file name.

    Raises:
        CfnsrError: the name does not follow the corpus's pattern.
    """
    match = _FIELDS.fullmatch(path.stem)
    if match is None:
        raise CfnsrError(
            path,
            "not a RAVDESS file name (seven two-digit fields joined by '-')",
            "Rename the file, or remove it from the corpus's folder",
        )
    return Clip(
        id=path.stem,
        path=path,
        actor=match["actor"],
        label=LABELS[int(match["emotion"]) - 1],
        intensity=INTENSITIES[int(match["intensity"]) - 1],
        statement=int(match["statement"]),
        repetition=int(match["repetition"]),
    )
