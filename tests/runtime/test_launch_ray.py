"""Jobs on a Ray cluster of two machines with one core each, one of which is lost."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.cluster import TwoNodes, two_nodes
from tests.support.jobs import AUDIO, FUSED, VIDEO, JobRepository, wait_for

pytest.importorskip("ray", reason="needs the extra ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """One cluster for all: the last test loses a machine."""
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def held(job_repository: JobRepository, tmp_path: Path) -> JobRepository:
    """A repository in which the jobs of pretrain wait for the test."""
    repository = job_repository.copy(tmp_path / "repository")
    for job in (AUDIO, VIDEO):
        repository.control(job, "hold").touch()
    return repository


def both_run(repository: JobRepository) -> bool:
    return repository.is_running(AUDIO) and repository.is_running(VIDEO)


def test_an_interrupt_leaves_no_process(held: JobRepository, cluster: TwoNodes) -> None:
    process = held.start("cfnsr", "launch", "--ray", cluster.address)
    wait_for(lambda: both_run(held))
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate()
    assert process.returncode == 1 and "Aborted" in printed and "Traceback" not in printed, printed
    assert not held.processes() and list(held.lock()) == ["check"]


def test_a_job_that_fits_no_machine_is_refused(held: JobRepository, cluster: TwoNodes) -> None:
    process = held.start("cfnsr", "launch", "--ray", cluster.address, "--gpus", "1")
    printed, _ = process.communicate()
    problem = "a job needs 1 cores and 1 GPUs of one machine; the machines have 1 and 0; 1 and 0. Lower train.threads"
    assert process.returncode == 1 and problem in printed


def test_a_job_whose_machine_is_lost_runs_elsewhere(held: JobRepository, cluster: TwoNodes) -> None:
    process = held.start("cfnsr", "launch", "--ray", cluster.address)
    wait_for(lambda: both_run(held))
    writers = held.writers()  # not the stages' parents: these may be shells, which end before DVC does
    assert len(writers) == 2
    cluster.lose_one()
    # On a machine of its own the lost DVC would be out of sight; here DVC must not take it for one that still runs.
    wait_for(lambda: not all(psutil.pid_exists(dvc) for dvc in writers))
    for job in (AUDIO, VIDEO):
        held.control(job, "hold").unlink()
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert set(re.findall(r"^done (\S+) on \S+ \(\w+\)", printed, re.MULTILINE)) == {AUDIO, VIDEO, FUSED}
    assert set(held.lock()) == {"check", AUDIO, VIDEO, FUSED}
