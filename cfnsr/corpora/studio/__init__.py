"""Studio, the synthetic corpus: an animated portrait that speaks, in files like those of RAVDESS.

For demonstration and tests: its results show that the pipeline works, and nothing about emotions.
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


def expected(
    actor: str, *, statements: list[int], repetitions: int, intensities: list[str], **_: object
) -> Counter[str]:
    """Count the clips of each emotion that an actor has."""
    return Counter(take.label for take in filenames.takes(statements, repetitions, intensities))


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """Describe the clips in one actor's folder from their file names."""
    return clip.describe(folder, bad)
