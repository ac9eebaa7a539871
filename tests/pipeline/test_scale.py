"""Twenty-four speakers in six folds: DVC's own time. With stubs."""

from __future__ import annotations

import resource
from pathlib import Path

from benchmarks.pipeline import widen
from tests.support.repository import Repository

# Every stage's command, one after another in one process: `dvc repro` would write its lock a hundred times.
RUN_ALL = """
import runpy
import sys

from dvc.repo import Repo

with Repo() as repository:
    commands = [stage.cmd.split() for stage in repository.index.stages]
for _, _, module, *arguments in commands:
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def processor_s() -> float:
    """Return the processor time of all processes that have been started and have ended: load changes it little."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_nothing_to_do_takes_four_seconds(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    widen(repository, speakers=24, folds=6)
    assert len(repository.stages) == 4 * 24 + 4 + 6 * 4
    repository.run("python", "-c", RUN_ALL)
    repository.run("dvc", "commit", "-f")
    before = processor_s()
    assert not repository.repro()
    assert processor_s() - before <= 4
