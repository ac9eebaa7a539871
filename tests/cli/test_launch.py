from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cfnsr import cli
from tests.support.jobs import AUDIO, VIDEO, JobRepository


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
    assert "Error: launch: 1 jobs failed, and 1 that need them did not run. Remove the cause" in result.output
    repository.control(AUDIO, "fail").unlink()
    assert launch(repository, "pretrain").output.endswith("\n1 jobs done, 1 were up to date\n")
    assert launch(repository, "pretrain").output == "nothing to do: 2 jobs are up to date\n"
    assert VIDEO in repository.lock()


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
