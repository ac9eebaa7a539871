"""What DVC's own time is of more speakers and folds. With stubs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.pipeline import processor_s, widen
from tests.support.repository import Repository


def nothing_to_do_s(repository: Repository) -> float:
    assert not repository.repro()
    return min(processor_s(repository, "dvc", "repro") for _ in range(2))


def test_nothing_to_do_takes_no_longer_a_stage(stubbed: Repository, tmp_path: Path) -> None:
    """The seconds themselves depend on the machine: `make bench` tells them."""
    small, large = (stubbed.copy(tmp_path / name) for name in ("small", "large"))
    widen(large, speakers=12, folds=4)
    assert len(small.stages) == 4 * 3 + 5 + 4 * 2 and len(large.stages) == 4 * 12 + 5 + 4 * 4
    large.run_all()
    assert nothing_to_do_s(large) / nothing_to_do_s(small) < len(large.stages) / len(small.stages)
