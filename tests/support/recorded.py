"""Run a stage, and print as JSON which keys of params.yaml it read: ``python -m tests.support.recorded crop ...``."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cfnsr import config
from tests.support.repository import Repository

# docs/decisions/0004-what-stages-depend-on.md: what changes no byte of a good result.
UNDECLARED = {
    *("parallel.jobs", "parallel.engine", "parallel.address", "on_bad_clip"),
    *(f"fetch.{name}" for name in ("base_url", "tries", "wait_s", "timeout_s")),
}

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
        if name == "of_result":
            return self._of_result
        if (self._path, name) == ("run", "rows"):
            read.update(f"run.{key}" for key in type(self._section).model_fields)
            return self._section.rows  # pyright: ignore
        assert name in type(self._section).model_fields, f"no stage is expected to call {name}"
        return watched(getattr(self._section, name), f"{self._path}.{name}".removeprefix("."))

    def _of_result(self) -> dict[str, Any]:
        values = self._section.of_result()  # pyright: ignore
        read.update(name for name in values if name != "corpora")
        read.update(f"corpora.{name}" for name in values["corpora"])
        return values

    def _dump(self, *, exclude: set[str] = frozenset()) -> dict[str, Any]:  # pyright: ignore
        read.update(f"{self._path}.{name}" for name in set(type(self._section).model_fields) - set(exclude))
        return self._section.model_dump(exclude=set(exclude))


def watched(value: Any, path: str) -> Any:
    if isinstance(value, BaseModel):
        return Watched(value, path)
    read.add(path)
    return value


def hold(repository: Repository, name: str) -> None:
    """Run one of a repository's stages; what it reads of params.yaml must be what it declares."""
    entry = repository.entries()[name]
    repository.run(*re.sub(r"-m stages\.(\w+)", r"-m tests.support.recorded \1", entry["cmd"]).split())
    taken = set(json.loads((repository.folder / "read.json").read_text()))
    found = {
        key: {one for one in taken if one == key or one.startswith(f"{key}.")} for key in entry["params"]["params.yaml"]
    }
    assert all(found.values()), f"declared, but not read: {[key for key in found if not found[key]]}"
    undeclared = taken - set().union(*found.values()) - UNDECLARED
    assert not undeclared, f"read, but not declared: {sorted(undeclared)}"


if __name__ == "__main__":
    stage, *arguments = sys.argv[1:]
    load = config.load
    config.load = lambda path: watched(load(path), "")
    import_module(f"stages.{stage}").main(arguments, standalone_mode=False)
    Path("read.json").write_text(json.dumps(sorted(read)))
