"""Jobs through submitit: its local executor in place of Slurm."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from cfnsr.errors import CfnsrError
from cfnsr.runtime.dvc_repository import plan
from cfnsr.runtime.launch import Summary, run_all
from tests.runtime.test_launch import Recorded
from tests.support.jobs import AUDIO, FUSED, STAGES, VIDEO, JobRepository, wait_for

pytest.importorskip("submitit", reason="needs the extra slurm")

from cfnsr.runtime.launch.on_slurm import OnSlurm


def launch(repository: JobRepository, display: Recorded) -> Summary:
    backend = OnSlurm(repository.folder, threads=1, gpus=0, options={"partition": "any"}, cluster="local")
    return run_all(plan(repository.folder, STAGES), backend, display)


def test_submitted_jobs_run_and_failures_are_found(job_repository: JobRepository, tmp_path: Path) -> None:
    repository = job_repository.copy(tmp_path / "repository")
    repository.control(FUSED, "fail").touch()
    summary = launch(repository, Recorded())
    assert [outcome.job for outcome in summary.failed] == [FUSED] and summary.failed[0].status == 255
    assert {"check", AUDIO, VIDEO} == set(repository.lock())


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # submitit's own, once cancelled
def test_an_interrupt_cancels_submitted_jobs(job_repository: JobRepository, tmp_path: Path) -> None:
    repository = job_repository.copy(tmp_path / "repository")
    for job in (AUDIO, VIDEO):
        repository.control(job, "hold").touch()
    with pytest.raises(KeyboardInterrupt):
        launch(repository, Recorded(repository))
    gc.collect()  # here, where the warning is ignored
    wait_for(lambda: not repository.processes())
    assert list(repository.lock()) == ["check"]


def test_a_machine_without_slurm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CfnsrError, match=r"--slurm: .*srun.*Run it on a machine of the cluster"):
        OnSlurm(tmp_path, threads=1, gpus=0, options={})


SBATCH = """#!/bin/sh
cp "$1" "{folder}/submitted"
echo "Submitted batch job 7"
"""


def test_sbatch_gets_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("srun", "#!/bin/sh\n"), ("sbatch", SBATCH.format(folder=tmp_path)), ("scancel", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    backend = OnSlurm(tmp_path, threads=3, gpus=1, options={"partition": "big", "time": "30"})
    backend.start("train@fused")
    lines = (tmp_path / "submitted").read_text().splitlines()
    for option in ("cpus-per-task=3", "gpus-per-node=1", "partition=big", "time=30"):
        assert f"#SBATCH --{option}" in lines
