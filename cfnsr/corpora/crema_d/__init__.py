"""CREMA-D: 91 actors speak twelve sentences with six emotions, on video.

Cao, Cooper, Keutmann, Gur, Nenkova and Verma, "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE
Transactions on Affective Computing 5(4), 2014; https://github.com/CheyneyComputerScience/CREMA-D. The label is the
emotion that the actor was asked for, not the one that the raters heard or saw.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from cfnsr.corpora import clip
from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips

_LABELS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
_SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
_NAME = re.compile(rf"(\d{{4}})_({'|'.join(_SENTENCES)})_({'|'.join(_LABELS)})_(?:LO|MD|HI|XX)")
# Clips of an actor: sentence IEO at three levels (neutral has one), the others once. Some clips were never published,
# and prepare leaves four out.
_USUAL = Counter(dict.fromkeys(_LABELS, 14)) - Counter(NEU=2)
_EACH = Counter(dict.fromkeys(_LABELS, 1))
_FEWER = {
    "1002": Counter(NEU=1), "1008": _EACH, "1009": _EACH, "1019": _EACH, "1064": Counter(SAD=1, DIS=1),
    "1076": Counter(NEU=2, SAD=1),
}  # fmt: skip
# VideoDemographics.csv of the corpus.
_WOMEN = frozenset({
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028, 1029, 1030,
    1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063, 1072, 1073, 1074, 1075,
    1076, 1078, 1079, 1082, 1084, 1089, 1091,
})  # fmt: skip


def labels(**_: object) -> list[str]:
    """List the emotions in the order of their class index."""
    return list(_LABELS.values())


def expected(actor: str, **_: object) -> Counter[str]:
    """Count the clips of each emotion that an actor has."""
    counts = _USUAL - _FEWER.get(actor, Counter())
    return Counter({_LABELS[code]: count for code, count in counts.items()})


def gender(actor: str) -> str:
    """Return an actor's gender."""
    return "female" if int(actor) in _WOMEN else "male"


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """Describe the clips in one actor's folder from their file names."""
    return clip.describe(folder, bad, _describe)


def _describe(path: Path) -> Clip:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        problem = "is not a CREMA-D file name (like 1001_DFA_ANG_XX)"
        raise CfnsrError(path, problem, "Rename the file, or remove it from the corpus's folder")
    actor, sentence, emotion = match.groups()
    return Clip(path.stem, path, actor, _LABELS[emotion], statement=_SENTENCES.index(sentence) + 1)
