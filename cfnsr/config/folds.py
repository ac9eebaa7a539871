"""Folds by name: which speakers test together.

params.yaml holds the folds themselves, because DVC makes one job of each; ``cfnsr folds NAME`` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from cfnsr import corpora
from cfnsr.errors import CfnsrError

Folds = dict[str, list[str]]
# The folds of RAVDESS in EmoBox, https://github.com/emo-box/EmoBox (data/ravdess).
_EMOBOX = ((1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22))
_WHERE = "cfnsr folds"


def names() -> dict[str, str]:
    """List the names, each with what it means."""
    return {name: (rule.__doc__ or "").strip().splitlines()[0] for name, rule in _RULES.items()}


def named(name: str, corpus: str, speakers: Sequence[str], count: int) -> Folds:
    """Return the speakers of each fold.

    Args:
        name: one of ``names()``.
        corpus: as in params.yaml.
        speakers: all speakers of the run.
        count: of folds, for ``balanced``.

    Raises:
        CfnsrError: there is no such name, or its folds do not fit the speakers.
    """
    if name not in _RULES:
        raise CfnsrError(_WHERE, f"there are no folds {name!r}", f"Choose one of: {', '.join(_RULES)}")
    if corpus == "folder":  # only `cfnsr folder` knows which clips may not be split over folds
        problem = "the folds of your own videos depend on their clips and classes"
        raise CfnsrError(_WHERE, problem, "Run `cfnsr folder VIDEOS LABELS --folds NUMBER`")
    folds = _RULES[name](corpus, sorted(speakers), count)
    if len(folds) < 3:
        problem = f"{name} makes {len(folds)} folds of {len(speakers)} speakers"
        raise CfnsrError(_WHERE, problem, "Three are needed: to train, to validate and to test")
    return folds


def _consecutive_fours(corpus: str, speakers: list[str], count: int) -> Folds:
    """Speakers 1 to 4, 5 to 8, ..., as in HiCMAE."""
    if len(speakers) % 4:
        problem = f"consecutive_fours needs a multiple of four speakers; actors has {len(speakers)}"
        raise CfnsrError(_WHERE, problem, "Use another name, or other actors")
    return _numbered([speakers[first : first + 4] for first in range(0, len(speakers), 4)])


def _emobox(corpus: str, speakers: list[str], count: int) -> Folds:
    """The six folds of RAVDESS in EmoBox; for all 24 actors of RAVDESS only."""
    folds = [[f"{number:02d}" for number in numbers] for numbers in _EMOBOX]
    if corpus not in {"ravdess", "ravdess_speech"} or speakers != sorted(chain(*folds)):
        problem = f"emobox needs the 24 actors of RAVDESS; corpus is {corpus}, with {len(speakers)} actors"
        raise CfnsrError(_WHERE, problem, "Use another name, or run `cfnsr preset ravdess` first")
    return _numbered(folds)


def _leave_one_speaker_out(corpus: str, speakers: list[str], count: int) -> Folds:
    """One fold a speaker."""
    return {f"fold_{speaker}": [speaker] for speaker in speakers}


def _balanced(corpus: str, speakers: list[str], count: int) -> Folds:
    """Speakers in turn, women and men apart where known; --count gives the number of folds."""
    if len(speakers) < count:
        problem = f"actors has {len(speakers)} speakers, too few for {count} folds"
        raise CfnsrError(_WHERE, problem, "Give a smaller --count, or more actors")
    gender: Callable[[str], str] = getattr(corpora.get(corpus), "gender", lambda speaker: "")
    by_gender = sorted(speakers, key=lambda speaker: (gender(speaker), speaker))
    return _numbered([sorted(by_gender[number::count]) for number in range(count)])


def _numbered(folds: list[list[str]]) -> Folds:
    return {f"fold_{number}": speakers for number, speakers in enumerate(folds, start=1)}


_RULES: dict[str, Callable[[str, list[str], int], Folds]] = {
    "consecutive_fours": _consecutive_fours,
    "emobox": _emobox,
    "leave_one_speaker_out": _leave_one_speaker_out,
    "balanced": _balanced,
}
