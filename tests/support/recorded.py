"""Record which keys of params.yaml each stage reads.

In a repository under ``watch`` every stage writes them beside the logs of its time, outside every output.
"""

from __future__ import annotations

import atexit
import json
import os
from pathlib import Path

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
    """Write, when this process ends, what it has read; called by a stage's process."""
    from cfnsr.config.read import ReadParams

    path = (FOLDER / f"{os.environ['DVC_STAGE'].rpartition(':')[2]}.json").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    initialise = ReadParams.__init__

    def recorded(self: ReadParams, params: Path) -> None:
        initialise(self, params)
        atexit.register(lambda: path.write_text(json.dumps(sorted(self.keys))))

    ReadParams.__init__ = recorded
