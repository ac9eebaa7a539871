"""A stage that starts itself in several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from cfnsr.data.jobs import JobPaths, JobRecord
from cfnsr.errors import CfnsrError
from cfnsr.training import torchrun
from tests.support import corpus, listeners
from tests.support.training import write_params

STAGE = "pretrain@made_up-held_out-audio-fold_1-7"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a workspace whose jobs take two processes and more epochs than any test waits for."""
    folder = tmp_path_factory.mktemp("workspace")
    corpus.write(folder / "data/made_up/shards")
    corpus.manifest(folder / "data/made_up/shards").write(folder / "data/made_up/manifest.json")
    write_params(folder / "params.yaml", **{"train.devices": 2, "pretrain.audio.epochs": 5000})
    write_params(folder / "short.yaml", **{"train.devices": 2})
    return folder


def start(root: Path, folder: Path, params: str = "params.yaml") -> subprocess.Popen[str]:
    command = ["-m", "stages.pretrain", "audio", "held_out", "fold_1", "7", "data/made_up", "--params", params]
    environment = {**os.environ, "PYTHONPATH": str(root), "DVC_STAGE": STAGE}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, **pipes)


@pytest.fixture
def training(root: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process], str]]:
    """Train in two processes until the second epoch; yield the stage, its workers by rank, and what it has printed."""
    process = start(root, folder)
    assert process.stdout is not None
    printed = ""
    while printed.count("epoch ") < 2:
        line = process.stdout.readline()
        assert line, printed
        printed += line
    workers = sorted(psutil.Process(process.pid).children(), key=lambda worker: int(worker.environ()["RANK"]))
    yield process, workers, printed
    process.kill()
    process.wait()
    process.stdout.close()


def wait_for_end(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def test_a_lost_process_ends_all_in_one_line(training: tuple[subprocess.Popen[str], list[psutil.Process], str]) -> None:
    process, workers, _ = training
    workers[1].kill()
    printed, _ = process.communicate(timeout=60)
    lines = [line for line in printed.splitlines() if not line.startswith("epoch ")]
    assert lines == ["Error: train.devices: process 1 ended with SIGKILL. Run it again: it resumes"]
    assert process.returncode == 1
    wait_for_end(workers)


def test_processes_end_with_the_stage(training: tuple[subprocess.Popen[str], list[psutil.Process], str]) -> None:
    process, workers, printed = training
    assert "resumes from data/.resume/made_up" in printed  # after the test above
    process.kill()
    wait_for_end(workers)


def test_processes_listen_on_loopback_alone(
    training: tuple[subprocess.Popen[str], list[psutil.Process], str],
) -> None:
    assert listeners.addresses(training[0].pid) == {"127.0.0.1"}  # gloo's


def test_an_interrupt_ends_all_processes(training: tuple[subprocess.Popen[str], list[psutil.Process], str]) -> None:
    process, workers, _ = training
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "Aborted" in printed and "Traceback" not in printed
    wait_for_end(workers)


def test_a_job_of_two_processes_is_written_once(root: Path, folder: Path) -> None:
    process = start(root, folder, "short.yaml")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and printed.count("epoch ") == 2, printed
    record = JobRecord.read(JobPaths.of(folder / "data/made_up", "audio", corpus.trial("fold_1")).record)
    assert record.epochs == 2
    log = json.loads((folder / "data/logs" / f"{STAGE}.json").read_text())
    assert log["device"].startswith("2 x cpu")


def test_an_error_of_any_process_is_handed_over(root: Path, folder: Path) -> None:
    """Neither process has shards; the error is printed once."""
    shards = folder / "data/made_up/shards"
    hidden = shards.rename(folder / "hidden")
    try:
        printed, _ = start(root, folder).communicate(timeout=120)
    finally:
        hidden.rename(shards)
    (line,) = printed.splitlines()
    assert line.startswith("Error: data/made_up/shards/") and "is missing" in line


def test_too_few_gpus_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(CfnsrError, match=r"train\.devices: is 2, torch finds 1 GPUs"):
        torchrun.launch(2, torch.device("cuda"))


def test_one_process_starts_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not torchrun.launch(1, torch.device("cpu"))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a worker")
    assert not torchrun.launch(2, torch.device("cpu"))
