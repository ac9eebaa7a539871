"""Types that the sections of params.yaml share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# Every number has bounds: what no machine holds, or no computation survives, is refused before any work. A field whose
# own bounds are narrower says so.
Count = Annotated[int, Field(ge=1, le=1_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Decibels = Annotated[float, Field(ge=-1000, lt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
_LARGEST_OPTION = 2**20  # of a network or an extractor; the networks' sizes together are checked by `cfnsr check`
# Names of speakers, folds and systems become parts of file and stage names. A disk takes 255 bytes, and the longest
# name of a file holds two of these and 83 bytes more: `train_frozen@<corpus>-<protocol>-<row>-<fold>-<seed>.json`.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=64)]


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


def check_numbers(values: Any) -> None:
    """Raise ``ValueError`` if a number at any depth is not finite, or too large for any setting.

    Args:
        values: of a params file, in nested sections.
    """
    for path, number in _numbers(values):
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"{path}: {number} is not a finite number")
        if abs(number) > 2**53:  # not printed, as it may have thousands of digits
            raise ValueError(f"{path}: is larger than any setting can be")
        if ("options" in path or "variants" in path) and abs(number) > _LARGEST_OPTION and "seed" not in path:
            raise ValueError(f"{path}: {number} is more than {_LARGEST_OPTION:,}, which no network needs")


def _numbers(values: Any, path: str = "") -> Iterator[tuple[str, int | float]]:
    """Yield the dotted key and the value of each number in nested sections and lists."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield from _numbers(value, f"{path}.{key}" if path else str(key))
    if isinstance(values, int | float):
        yield path, values


def no_repeats(key: str, values: list[str]) -> None:
    """Raise ``ValueError`` if a list names something twice."""
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"{key}: {', '.join(repeated)} named twice")
