"""RAVDESS's speech as sound alone: the same 24 actors and 1,440 recordings as ``ravdess``, without pictures.

Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE 2018; Zenodo record
1188976, under CC BY-NC-SA 4.0.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cfnsr.corpora import clip, filenames
from cfnsr.corpora.clip import Clip
from cfnsr.runtime.bad_clips import BadClips


def labels(**_: object) -> list[str]:
    """List the emotions in the order of their class index."""
    return list(filenames.LABELS)


def expected(actor: str, **_: object) -> Counter[str]:
    """Count the clips of each emotion that an actor has."""
    return Counter(take.label for take in filenames.takes((1, 2), 2, filenames.INTENSITIES))


def gender(actor: str) -> str:
    """Return an actor's gender: odd numbers are male."""
    return "male" if int(actor) % 2 else "female"


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """Describe the clips in one actor's folder from their file names."""
    return clip.describe(folder, bad)
