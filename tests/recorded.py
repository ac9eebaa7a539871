"""Run a stage, and print as JSON which keys of params.yaml it read: ``python -m tests.recorded crop ARGUMENTS``."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cfnsr import config

read: set[str] = set()


class Watched:
    """Stands for a section of params.yaml, and notes what is taken from it, by its path."""

    def __init__(self, section: BaseModel, path: str) -> None:
        self._section, self._path = section, path

    def __getattr__(self, name: str) -> Any:
        if name == "model_dump":
            return self._dump
        if name == "system":
            return lambda system: watched(self._section.system(system), f"systems.{system}")  # pyright: ignore
        if name == "variant":
            return lambda variant: watched(self._section.variant(variant), f"ablations.variants.{variant}")  # pyright: ignore
        if (self._path, name) == ("run", "names"):
            read.update(f"run.{key}" for key in type(self._section).model_fields)
            return self._section.names  # pyright: ignore
        assert name in type(self._section).model_fields, f"no stage is expected to call {name}"
        return watched(getattr(self._section, name), f"{self._path}.{name}".removeprefix("."))

    def _dump(self, *, exclude: set[str] = frozenset()) -> dict[str, Any]:  # pyright: ignore
        read.update(f"{self._path}.{name}" for name in set(type(self._section).model_fields) - set(exclude))
        return self._section.model_dump(exclude=set(exclude))


def watched(value: Any, path: str) -> Any:
    if isinstance(value, BaseModel):
        return Watched(value, path)
    read.add(path)
    return value


if __name__ == "__main__":
    stage, *arguments = sys.argv[1:]
    load = config.load
    config.load = lambda path: watched(load(path), "")
    import_module(f"stages.{stage}").main(arguments, standalone_mode=False)
    Path("read.json").write_text(json.dumps(sorted(read)))
