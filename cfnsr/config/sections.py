"""Types that the sections of params.yaml share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Names of speakers, folds and systems become parts of file and stage names.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# `dvc exp run -S 'actors=[1001,1002]'` writes numbers.
Speaker = Annotated[Name, BeforeValidator(_as_text)]


# DVC ignores keys of these names when it looks for an earlier run of a stage, and would return results of another value
# (docs/decisions/0007-names-dvc-does-not-see.md).
UNSEEN_BY_DVC = frozenset({"size", "nfiles"})


class Section(BaseModel):
    """A frozen section: unknown keys are refused, and strings are not converted to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        assert not UNSEEN_BY_DVC & set(cls.model_fields), f"{cls.__name__} has a key that DVC ignores"


def seen_by_dvc(values: Any, path: str = "") -> None:
    """Raise ``ValueError`` if a key at any depth is one whose changes DVC would not see.

    Args:
        values: of a params file, in nested sections.
        path: of the section in the file, followed by a dot.
    """
    for key, value in values.items() if isinstance(values, dict) else ():
        if key in UNSEEN_BY_DVC:
            raise ValueError(f"{path}{key}: DVC ignores changes of a key named {key}; choose another name")
        seen_by_dvc(value, f"{path}{key}.")


def no_repeats(key: str, values: list[str]) -> None:
    """Raise ``ValueError`` if a list names something twice."""
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"{key}: {', '.join(repeated)} named twice")
