"""Record which keys of params.yaml a stage reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cfnsr.config.read import ReadParams

# docs/decisions/0004-what-stages-depend-on.md: keys that do not change the bytes of a good result.
UNDECLARED = {
    *("parallel.jobs", "parallel.backend", "parallel.address", "on_bad_clip"),
    *(f"fetch.{name}" for name in ("base_url", "hard_links", "tries", "wait_s", "timeout_s", "min_rate")),
}


@contextmanager
def keys() -> Iterator[set[str]]:
    """Yield a set, which holds at the end the keys that stages of this process have read meanwhile."""
    initialise, files = ReadParams.__init__, []
    read: set[str] = set()

    def recorded(self: ReadParams, path: Path) -> None:
        initialise(self, path)
        files.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReadParams, "__init__", recorded)
        yield read
    read.update(*(file.keys for file in files))


def check(name: str, entry: dict[str, Any], read: set[str]) -> None:
    """Check that a stage has read the keys that it declares, and no others.

    Args:
        name: of the stage.
        entry: its entry of dvc.lock.
        read: the keys.
    """
    of_key = {
        key: {path for path in read if path == key or path.startswith(f"{key}.")}
        for key in entry["params"]["params.yaml"]
    }
    assert all(of_key.values()), f"{name} declares, and does not read: {[key for key in of_key if not of_key[key]]}"
    undeclared = read - set().union(*of_key.values()) - UNDECLARED
    assert not undeclared, f"{name} reads, and does not declare: {sorted(undeclared)}"
