"""The protocols: which speakers test, validate and train in each fold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cfnsr.errors import CfnsrError

PROTOCOLS = ("held_out", "test_selected")


@dataclass(frozen=True)
class Trial:
    """What every row of the table is repeated over.

    Attributes:
        protocol: one of ``PROTOCOLS``.
        fold: whose speakers test.
        seed: of weights, order of clips, dropout and augmentation.
    """

    protocol: str
    fold: str
    seed: int

    def within(self, folder: Path, name: str, ending: str = "") -> Path:
        """Where a row's file of this trial lies in a folder of one protocol."""
        return folder / name / self.fold / f"{self.seed}{ending}"


@dataclass(frozen=True)
class Speakers:
    """One fold's disjoint sets of speakers.

    Attributes:
        test: measure the result; under ``held_out`` no choice may look at them.
        validation: choose the epoch; empty under ``published``, where the test speakers do.
        train: the weights are fitted to them.
    """

    test: tuple[str, ...]
    validation: tuple[str, ...]
    train: tuple[str, ...]

    def __post_init__(self) -> None:
        everyone = [*self.test, *self.validation, *self.train]
        twice = sorted({actor for actor in everyone if everyone.count(actor) > 1})
        if twice:
            raise CfnsrError(
                "folds",
                f"speakers {', '.join(twice)} stand in two sets of one fold",
                "Give each speaker to one set alone",
            )
        for name in ("test", "train"):
            if not getattr(self, name):
                raise CfnsrError("folds", f"a fold has no speaker to {name}", "Give it some, or use more folds")


def split(protocol: str, actors: list[str], folds: dict[str, list[str]]) -> dict[str, Speakers]:
    """The speakers of each fold.

    ``held_out``: test on a fold, validate on the next one in rotation, train on everyone else. ``published``: test on a
    fold, train on everyone else.

    Args:
        protocol: one of ``PROTOCOLS``.
        actors: every speaker of the run.
        folds: the speakers tested in each fold.

    Raises:
        CfnsrError: a set is empty, or a speaker would stand in two sets of one fold.
    """
    names = list(folds)
    result = {}
    for position, name in enumerate(names):
        test = folds[name]
        validation = folds[names[(position + 1) % len(names)]] if protocol == "held_out" else []
        train = [actor for actor in actors if actor not in {*test, *validation}]
        result[name] = Speakers(tuple(test), tuple(validation), tuple(train))
    proved(protocol, result)
    return result


def proved(protocol: str, folds: dict[str, Speakers]) -> None:
    """Refuse folds that are not what their protocol says.

    Raises:
        CfnsrError: a fold lacks validation speakers where they choose the epoch, or has some where none do.
    """
    for name, speakers in folds.items():
        if bool(speakers.validation) != (protocol == "held_out"):
            raise CfnsrError(
                f"folds.{name}",
                f"{protocol} with {len(speakers.validation)} speakers to validate",
                "Give each fold its speakers, or run `dvc repro check`",
            )
