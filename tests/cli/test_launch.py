from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cfnsr import cli
from cfnsr.runtime.dvc_repository import plan
from tests.support.jobs import AUDIO, VIDEO, JobRepository, wait_for


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> JobRepository:
    return JobRepository.create(tmp_path_factory.mktemp("jobs") / "repository")


@pytest.fixture
def repository(created: JobRepository, tmp_path: Path) -> JobRepository:
    return created.copy(tmp_path / "repository")


def launch(repository: JobRepository, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["launch", *arguments, "--params", str(repository.folder / "params.yaml")])


def test_failures_are_listed_and_the_rest_runs_later(repository: JobRepository) -> None:
    repository.control(AUDIO, "fail").touch()
    result = launch(repository, "--jobs", "2")
    assert result.exit_code == 1
    assert f"{AUDIO}: Error: the test: asks for a failure. Delete the file" in result.output
    assert f"(data/logs/launch/{AUDIO}.log)" in result.output
    assert "Error: launch: 1 stages failed, and 1 that need them did not run. Remove the cause" in result.output
    repository.control(AUDIO, "fail").unlink()
    assert launch(repository, "pretrain").output.endswith("\n1 stages done, 1 were up to date\n")
    assert launch(repository, "pretrain").output == "nothing to do: 2 stages are up to date\n"
    assert VIDEO in repository.lock()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGHUP, and its SIGTERM ends a process at once")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_no_process(repository: JobRepository, name: str) -> None:
    for job in (AUDIO, VIDEO):
        repository.control(job, "hold").touch()
    process = repository.start("cfnsr", "launch", "--jobs", "2")
    wait_for(lambda: repository.is_running(AUDIO) and repository.is_running(VIDEO))
    process.send_signal(signal.Signals[name])
    printed, _ = process.communicate(timeout=60)
    left = repository.processes()
    for orphan in left:
        orphan.kill()
    assert not left and process.returncode == 1
    assert printed == f"Error: launch: was ended by {name}, and its jobs too. Run the same again for the rest\n"
    assert set(plan(repository.folder, ("pretrain",)).needs) == {AUDIO, VIDEO}  # DVC's lock is free


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--jobs", "2", "--ray", "auto"], "give one of them"),
        (["--slurm", "--ray", "auto"], "give one of them"),
        (["--gpus", "1"], "--gpus is for clusters"),
        (["--slurm-option", "time=1"], "--slurm-option needs --slurm"),
        (["--slurm", "--slurm-option", "time"], "--slurm-option time: write NAME=VALUE"),
    ],
)
def test_options_that_contradict_are_refused(repository: JobRepository, arguments: list[str], problem: str) -> None:
    result = launch(repository, *arguments)
    assert result.exit_code == 2 and problem in result.output


def test_an_address_without_a_cluster_is_refused(repository: JobRepository) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    result = launch(repository, "--ray", "127.0.0.1:1")
    assert result.exit_code == 1 and "no cluster at 127.0.0.1:1" in result.output
