"""Split speakers into test, validation and training sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cfnsr.errors import CfnsrError

PROTOCOLS = ("held_out", "test_selected")
_ROLES = ("test", "validation", "train")


@dataclass(frozen=True)
class Trial:
    """One repetition of every row of the table.

    Attributes:
        protocol: one of ``PROTOCOLS``.
        fold: whose speakers test.
        seed: of weights, order of clips, dropout and augmentation.
    """

    protocol: str
    fold: str
    seed: int

    def folder(self, name: str) -> Path:
        """Return the folder of a row's job, below ``models`` or ``jobs``."""
        return Path(self.protocol, name, self.fold, str(self.seed))


@dataclass(frozen=True)
class Speakers:
    """One fold's disjoint sets of speakers.

    Attributes:
        test: the result is measured on their clips; under ``held_out`` they select nothing.
        validation: their clips select the epoch; empty under ``test_selected``, where the test speakers' clips do.
        train: the weights are fitted to their clips.

    Raises:
        CfnsrError: a speaker is in two sets, or ``test`` or ``train`` is empty.
    """

    test: tuple[str, ...]
    validation: tuple[str, ...]
    train: tuple[str, ...]

    def __post_init__(self) -> None:
        speakers = [*self.test, *self.validation, *self.train]
        repeated = sorted({speaker for speaker in speakers if speakers.count(speaker) > 1})
        if repeated:
            problem = f"speakers {', '.join(repeated)} are in two sets of one fold"
            raise CfnsrError("folds", problem, "List each speaker in one fold only")
        for name in ("test", "train"):
            if not getattr(self, name):
                problem = f"a fold has no speaker to {name}"
                raise CfnsrError("folds", problem, "Add a speaker to each fold, or use more folds")

    def lists(self) -> dict[str, list[str]]:
        """Return the sets as they are written into models, records and predictions."""
        return {role: list(getattr(self, role)) for role in _ROLES}

    def require(self, recorded: Mapping[str, list[str]], path: Path) -> None:
        """Compare with what a file says of its speakers: the same fold may once have had others.

        Args:
            recorded: from ``lists``; empty in a file of an older version.
            path: of the file, for the error.

        Raises:
            CfnsrError: they are other speakers.
        """
        remedy = "Run `dvc repro` without `-s`, which makes it again"
        if not recorded:
            raise CfnsrError(path, "does not say whose clips it was made from (it is of an older version)", remedy)
        for role, speakers in self.lists().items():
            if recorded.get(role) != speakers:
                problem = f"its {role} speakers are {_shown(recorded.get(role, []))}, the fold's are {_shown(speakers)}"
                raise CfnsrError(path, problem, remedy)


def _shown(speakers: list[str]) -> str:
    return f"{', '.join(speakers[:8]) or 'none'}{' ...' if len(speakers) > 8 else ''}"


def split(protocol: str, speakers: list[str], folds: dict[str, list[str]]) -> dict[str, Speakers]:
    """Split the speakers for each fold.

    ``held_out``: test on a fold, validate on the next one in rotation, train on all other speakers.
    ``test_selected``: test on a fold, train on all other speakers.

    Args:
        protocol: one of ``PROTOCOLS``.
        speakers: all speakers of the run.
        folds: the speakers tested in each fold.

    Raises:
        CfnsrError: a set is empty, or a speaker would be in two sets of one fold.
    """
    names = list(folds)
    sets = {}
    for position, name in enumerate(names):
        test = folds[name]
        validation = folds[names[(position + 1) % len(names)]] if protocol == "held_out" else []
        train = [speaker for speaker in speakers if speaker not in {*test, *validation}]
        sets[name] = Speakers(tuple(test), tuple(validation), tuple(train))
    check(protocol, sets)
    return sets


def check(protocol: str, folds: dict[str, Speakers]) -> None:
    """Check that folds have validation speakers under ``held_out`` only.

    Raises:
        CfnsrError: they have none under ``held_out``, or some under ``test_selected``.
    """
    for name, sets in folds.items():
        if bool(sets.validation) != (protocol == "held_out"):
            problem = f"has {len(sets.validation)} validation speakers under {protocol}"
            raise CfnsrError(f"folds.{name}", problem, "List speakers in each fold, then run `dvc repro check`")
