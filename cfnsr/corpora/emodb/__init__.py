"""EmoDB: ten actors speak ten German sentences with seven emotions; sound alone.

Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss, "A Database of German Emotional Speech", Interspeech 2005.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from cfnsr.corpora import clip
from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips

# By the letter in the file names: of the German words Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
_LABELS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"
}  # fmt: skip
_SENTENCES = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
_NAME = re.compile(rf"(\d\d)({'|'.join(_SENTENCES)})([{''.join(_LABELS)}])([a-f])")
# Clips of each actor, in the order of the labels.
_CLIPS = {
    "03": (14, 5, 1, 4, 7, 7, 11), "08": (12, 10, 0, 6, 11, 9, 10), "09": (13, 4, 8, 1, 4, 4, 9),
    "10": (10, 8, 1, 8, 4, 3, 4), "11": (11, 8, 2, 10, 8, 7, 9), "12": (12, 5, 2, 6, 2, 4, 4),
    "13": (12, 10, 8, 7, 10, 5, 9), "14": (16, 8, 8, 12, 8, 10, 7), "15": (13, 9, 5, 8, 6, 4, 11),
    "16": (14, 14, 11, 7, 11, 9, 5),
}  # fmt: skip


def labels(**_: object) -> list[str]:
    """List the emotions in the order of their class index."""
    return list(_LABELS.values())


def expected(actor: str, **_: object) -> Counter[str]:
    """Count the clips of each emotion that an actor has."""
    return +Counter(dict(zip(labels(), _CLIPS[actor], strict=True)))


def gender(actor: str) -> str:
    """Return an actor's gender."""
    return "female" if actor in {"08", "09", "13", "14", "16"} else "male"


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """Describe the clips in one actor's folder from their file names."""
    return clip.describe(folder, bad, describe)


def describe(path: Path) -> Clip:
    """Read actor, sentence, emotion and version from a clip's file name: ``03a01Fa.wav``.

    Raises:
        CfnsrError: the name does not follow EmoDB's pattern.
    """
    match = _NAME.fullmatch(path.stem)
    if match is None:
        problem = "is not an EmoDB file name (like 03a01Fa)"
        raise CfnsrError(path, problem, "Rename the file, or remove it from the corpus's folder")
    actor, sentence, emotion, version = match.groups()
    statement, repetition = _SENTENCES.index(sentence) + 1, ord(version) - ord("a") + 1
    return Clip(path.stem, path, actor, _LABELS[emotion], statement=statement, repetition=repetition)
