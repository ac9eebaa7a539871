"""What every section of params.yaml is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Speakers, folds and systems name files and stages, so they keep to letters, digits and underscores.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


# DVC leaves keys of these names out when it compares a stage with those it has run before, whatever they mean, and so
# would take results of another value for those of this one (docs/decisions/0007-names-dvc-does-not-see.md).
UNSEEN_BY_DVC = frozenset({"size", "nfiles"})


class Section(BaseModel):
    """Frozen, without unknown keys, and without a string taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        assert not UNSEEN_BY_DVC & set(cls.model_fields), f"{cls.__name__} has a key that DVC does not see"


def no_repeats(key: str, values: list[str]) -> None:
    """Raise ``ValueError`` where a list names something twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{key}: {', '.join(twice)} named twice")
