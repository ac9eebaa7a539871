"""Params as a stage reads them: what it has read is known, and compared with the file before it writes.

DVC records the params after a stage has run. Edited while the stage runs, they would be recorded with a result of the
old ones, and DVC would hand that out for ever.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from cfnsr.config import Params, check
from cfnsr.config.model import Options
from cfnsr.config.yaml_files import read_yaml
from cfnsr.errors import CfnsrError
from cfnsr.runtime import own_code


class ReadParams:
    """A params file, and what is read of it. Other keys may change: they have no part in the stage's result.

    Args:
        path: of the file.

    Attributes:
        params: its sections.
        keys: those that were read, ``extract.video.frames``.

    Raises:
        CfnsrError: see ``cfnsr.config.load``.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._state = path, _state(path)
        self._values = read_yaml(path)
        self.keys: set[str] = set()
        self.params = cast(Params, _Watched(check(self._values, path), "", self.keys))

    def check_unchanged(self) -> None:
        """Compare the keys that were read with what the file holds now.

        Raises:
            CfnsrError: one has changed, or the file cannot be read.
        """
        state = _state(self._path)
        if state == self._state:  # parsing takes a tenth of a second
            return
        values = read_yaml(self._path)
        for key in sorted(self.keys):
            if repr(_value(values, key)) != repr(_value(self._values, key)):  # the order of the folds matters too
                problem = f"{key} has changed since this stage read it"
                raise CfnsrError(self._path, problem, "Run the same command again")
        self._state = state


class _Watched:
    """Stands for a section, and records the keys that are read of it, also by the section's own methods."""

    def __init__(self, section: BaseModel, path: str, keys: set[str]) -> None:
        self._section, self._path, self._keys = section, path, keys

    @property
    def __class__(self) -> type[BaseModel]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Make it an instance of its section's class."""
        return type(self._section)

    def __getattr__(self, name: str) -> Any:
        section = self._section
        if name in type(section).model_fields:
            return self._watched(getattr(section, name), self._key(name))
        return inspect.getattr_static(type(section), name).__get__(self, type(section))

    def model_dump(self, *, include: set[str] | None = None, exclude: set[str] | None = None) -> dict[str, Any]:
        names = (set(type(self._section).model_fields) if include is None else include) - (exclude or set())
        self._keys.update(map(self._key, names) if type(self._section).model_fields else [self._path])
        return self._section.model_dump(include=include, exclude=exclude)

    def variant(self, name: str) -> Options:
        """Return an ablation's options: one key, where `ablations.variants` would be those of all."""
        self._keys.add(f"ablations.variants.{name}")
        return cast(Params, self._section).variant(name)

    def _watched(self, value: Any, path: str) -> Any:
        if isinstance(value, BaseModel):
            return _Watched(value, path, self._keys)
        if isinstance(value, dict) and any(isinstance(one, BaseModel) for one in value.values()):
            return {key: self._watched(section, f"{path}.{key}") for key, section in value.items()}
        self._keys.add(path)
        return value

    def _key(self, name: str) -> str:
        return f"{self._path}.{name}".removeprefix(".")


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        return own_code.state(path)
    except OSError:  # reading the file says so
        return None


def _value(values: Mapping[Any, Any], key: str) -> Any:
    section: Any = values
    for part in key.split("."):
        section = section.get(part) if isinstance(section, Mapping) else None
    return section
