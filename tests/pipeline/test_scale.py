"""Twenty-four speakers in six folds: DVC's own time. With stubs."""

from __future__ import annotations

import resource
from pathlib import Path

from benchmarks.pipeline import widen
from tests.support.repository import Repository

COMMANDS = """
from dvc.repo import Repo

with Repo() as repository:
    print("\\n".join(stage.cmd for stage in repository.index.stages))
"""


def processor_s() -> float:
    """Return the processor time of all processes that have been started and have ended: load changes it little."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_nothing_to_do_takes_four_seconds(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    widen(repository, speakers=24, folds=6)
    commands = repository.run("python", "-c", COMMANDS).splitlines()
    assert len(commands) == 4 * 24 + 4 + 6 * 4
    for command in commands:  # `dvc repro` would write its lock a hundred times
        repository.run(*command.split())
    repository.run("dvc", "commit", "-f")
    before = processor_s()
    assert not repository.repro()
    assert processor_s() - before <= 4
