"""Record which keys of params.yaml each stage reads.

In a repository under ``watch`` every stage writes them beside the logs of its time, outside every output.
"""

from __future__ import annotations

import atexit
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tests.support.repository import Repository

FOLDER = Path("data/logs/params")
# docs/decisions/0004-what-stages-depend-on.md: keys that do not change the bytes of a good result.
UNDECLARED = {
    *("parallel.jobs", "parallel.backend", "parallel.address", "on_bad_clip"),
    *(f"fetch.{name}" for name in ("base_url", "hard_links", "tries", "wait_s", "timeout_s", "min_rate")),
}
WATCH = """
from tests.support import recorded

recorded.start()
"""


def watch(repository: Repository) -> None:
    """Have every stage of a repository record what it reads; ``stages/__init__.py`` is no dep of any stage."""
    with (repository.folder / "stages/__init__.py").open("a") as file:
        file.write(WATCH)


def check(repository: Repository, name: str) -> None:
    """Check that a stage that has run under ``watch`` read the keys that it declares, and no others."""
    declared = repository.entries()[name]["params"]["params.yaml"]
    read = set(json.loads((repository.folder / FOLDER / f"{name}.json").read_text()))
    of_key = {key: {one for one in read if one == key or one.startswith(f"{key}.")} for key in declared}
    assert all(of_key.values()), f"{name} declares, and does not read: {[key for key in of_key if not of_key[key]]}"
    undeclared = read - set().union(*of_key.values()) - UNDECLARED
    assert not undeclared, f"{name} reads, and does not declare: {sorted(undeclared)}"


def start() -> None:
    """Record from now on what this process reads; called by a stage's process."""
    from cfnsr import config

    read: set[str] = set()
    load = config.load
    config.load = lambda path: Watched(load(path), "", read)  # pyright: ignore[reportAttributeAccessIssue]
    path = (FOLDER / f"{os.environ['DVC_STAGE'].rpartition(':')[2]}.json").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    atexit.register(lambda: path.write_text(json.dumps(sorted(read))))


class Watched:
    """Stands for a section of params.yaml, and records what is read of it.

    Args:
        section: the section.
        path: of the section, ``extract.video``; empty for the whole file.
        read: paths of the keys that were read.
    """

    def __init__(self, section: BaseModel, path: str, read: set[str]) -> None:
        self._section, self._path, self._read = section, path, read

    def __getattr__(self, name: str) -> Any:
        if name in type(self._section).model_fields:
            return self._watched(getattr(self._section, name), self._key(name))
        if name == "model_dump":
            return self._dump
        if (self._path, name) == ("", "system"):
            return lambda system: self._watched(self._section.system(system), f"systems.{system}")  # pyright: ignore
        if (self._path, name) == ("", "variant"):
            return lambda variant: self._watched(self._section.variant(variant), f"ablations.variants.{variant}")  # pyright: ignore
        if (self._path, name) == ("", "of_result"):
            return self._of_result
        if (self._path, name) == ("run", "rows"):
            self._read.update(f"run.{key}" for key in type(self._section).model_fields)
            return self._section.rows  # pyright: ignore
        if (self._path, name) == ("run", "fused"):
            self._read.add("run.fuse")
            return self._section.fused  # pyright: ignore
        raise AssertionError(f"no stage is expected to read {name} of {self._path or 'params.yaml'}")

    def _watched(self, value: Any, path: str) -> Any:
        if isinstance(value, BaseModel):
            return Watched(value, path, self._read)
        self._read.add(path)
        return value

    def _key(self, name: str) -> str:
        return f"{self._path}.{name}".removeprefix(".")

    def _of_result(self) -> dict[str, Any]:
        values = self._section.of_result()  # pyright: ignore
        self._read.update(name for name in values if name != "corpora")
        self._read.update(f"corpora.{name}" for name in values["corpora"])
        return values

    def _dump(self, *, include: set[str] | None = None, exclude: set[str] | None = None) -> dict[str, Any]:
        names = (set(type(self._section).model_fields) if include is None else include) - (exclude or set())
        self._read.update(map(self._key, names) if type(self._section).model_fields else [self._path])
        return self._section.model_dump(include=include, exclude=exclude)
