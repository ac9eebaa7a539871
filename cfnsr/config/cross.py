"""The sections of params.yaml for training on other corpora, and their checks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, field_validator

from cfnsr.config.sections import Name, Section, no_repeats


class CrossRows(Section):
    """The other corpora, and the frozen encoders whose features of them are used."""

    corpora: list[Name]
    rows: list[Name]


class Cross(Section):
    """How classifiers are trained on other corpora."""

    labels: dict[str, str]
    standardise: Annotated[list[Literal["training", "target"]], Field(min_length=1)]

    @field_validator("standardise")
    @classmethod
    def check_ways(cls, ways: list[str]) -> list[str]:
        """Refuse a way that is listed twice."""
        no_repeats("cross.standardise", ways)
        return ways


def same_recordings(corpus: str, other: str) -> bool:
    """Return whether two corpora have the same speakers: RAVDESS's speech is the sound of its videos."""
    return corpus.removesuffix("_speech") == other.removesuffix("_speech")


def check(rows: CrossRows, corpus: str, known: Collection[str], probes: Collection[str]) -> None:
    """Check what `run.cross` lists.

    Args:
        rows: the section.
        corpus: that is tested.
        known: names of all corpora.
        probes: the rows of `run.probe`.

    Raises:
        ValueError: a name is unknown or there twice, a list is empty and the other not, or two corpora are the same.
    """
    no_repeats("run.cross.corpora", rows.corpora)
    no_repeats("run.cross.rows", rows.rows)
    if bool(rows.corpora) != bool(rows.rows):
        raise ValueError("run.cross: one of corpora and rows is empty; fill in both, or none")
    unknown = [name for name in rows.rows if name not in probes]
    if unknown:
        raise ValueError(f"run.cross.rows: {', '.join(unknown)} is not in run.probe, whose rows stand beside these")
    taken = [corpus]
    for other in rows.corpora:
        if other not in known:
            raise ValueError(f"run.cross.corpora: there is no corpus {other}; choose of {', '.join(sorted(known))}")
        same = [name for name in taken if same_recordings(other, name)]
        if same:
            raise ValueError(f"run.cross.corpora: {other} has the same speakers as {same[0]}; remove one of them")
        taken.append(other)
