"""What DVC's own time is of more speakers and folds. With stubs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.pipeline import processor_s, widen
from tests.support.repository import Repository


def nothing_to_do_s(repository: Repository) -> float:
    assert not repository.repro()
    return min(processor_s(repository, "dvc", "repro") for _ in range(2))


def test_nothing_to_do_grows_with_the_stages(stubbed: Repository, tmp_path: Path) -> None:
    """Beside the start of DVC, because seconds depend on the machine: `make bench` tells those of 24 speakers."""
    small, large = (stubbed.copy(tmp_path / name) for name in ("small", "large"))
    widen(large, speakers=12, folds=4)
    assert len(small.stages) == 4 * 3 + 5 + 4 * 2 and len(large.stages) == 4 * 12 + 5 + 4 * 4
    large.run_all()
    start_s, small_s, large_s = processor_s(small, "dvc", "version"), nothing_to_do_s(small), nothing_to_do_s(large)
    print(
        f"start {start_s:.2f} s, {len(small.stages)} stages {small_s:.2f} s, {len(large.stages)} stages {large_s:.2f} s"
    )
    assert large_s / small_s < len(large.stages) / len(small.stages)
    assert large_s < 6 * start_s
