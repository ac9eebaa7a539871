"""Check the speakers of params.yaml, and the folds that they test in."""

from __future__ import annotations

import re

from cfnsr.config.sections import no_repeats
from cfnsr.data import splits
from cfnsr.errors import CfnsrError

# By corpus: how its actors are written, as a pattern and in words.
_ACTORS = {
    "studio": (r"[0-9]{2}", "two digits"),
    "ravdess": (r"0[1-9]|1[0-9]|2[0-4]", "two digits, 01 to 24"),
    "ravdess_speech": (r"0[1-9]|1[0-9]|2[0-4]", "two digits, 01 to 24"),
    "crema_d": (r"10(0[1-9]|[1-8][0-9]|9[01])", "four digits, 1001 to 1091"),
    "emodb": (r"03|08|09|1[0-6]", "03 and 08 to 16"),
}


def check(corpus: str, actors: list[str], folds: dict[str, list[str]]) -> None:
    """Check names, repetitions and folds.

    Args:
        corpus: its name.
        actors: all speakers.
        folds: the test speakers of each fold.

    Raises:
        ValueError: a speaker is not of the corpus, is named twice, or tests twice; or a fold lacks a set of speakers.
    """
    no_repeats("actors", actors)
    pattern, words = _ACTORS.get(corpus, (".*", ""))
    for number, actor in enumerate(actors):
        if not re.fullmatch(pattern, actor):
            raise ValueError(f"actors.{number}: {corpus}'s actors are {words} (given: {actor!r})")
    tested: dict[str, str] = {}
    for fold, testing in folds.items():
        no_repeats(f"folds.{fold}", testing)
        for actor in testing:
            if actor not in actors:
                raise ValueError(f"folds.{fold}: actor {actor!r} is not among the actors")
            if actor in tested:
                raise ValueError(
                    f"folds.{fold}: actor {actor!r} is already in {tested[actor]}; a fold must not "
                    "validate on its test speakers"
                )
            tested[actor] = fold
    try:
        splits.split("held_out", actors, folds)
    except CfnsrError as error:
        raise ValueError(str(error)) from error
