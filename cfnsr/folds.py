"""The protocol: which speakers test, validate and train in each fold."""

from __future__ import annotations

from dataclasses import dataclass

from cfnsr.errors import CfnsrError


@dataclass(frozen=True)
class Speakers:
    """One fold's three disjoint sets of speakers.

    Attributes:
        test: measure the result; no choice may look at them.
        validation: choose the epoch.
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
        for name in ("test", "validation", "train"):
            if not getattr(self, name):
                raise CfnsrError("folds", f"a fold has no speaker to {name}", "Give it some, or use more folds")


def held_out(actors: list[str], folds: dict[str, list[str]]) -> dict[str, Speakers]:
    """Test on a fold, validate on the next one in rotation, train on everyone else.

    Args:
        actors: every speaker of the run.
        folds: the speakers tested in each fold.

    Raises:
        CfnsrError: a set is empty, or a speaker would stand in two sets of one fold.
    """
    names = list(folds)
    result = {}
    for position, name in enumerate(names):
        test = folds[name]
        validation = folds[names[(position + 1) % len(names)]]
        train = [actor for actor in actors if actor not in {*test, *validation}]
        result[name] = Speakers(tuple(test), tuple(validation), tuple(train))
    return result
