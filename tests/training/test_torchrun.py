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
PRETRAIN = ("stages.pretrain", "audio", "held_out", "fold_1", "7", "data/made_up")
EPOCHS = 70


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a workspace whose jobs take two processes."""
    folder = tmp_path_factory.mktemp("workspace")
    corpus.write(folder / "data/made_up/shards", clips=4)
    corpus.manifest(folder / "data/made_up/shards").write(folder / "data/made_up/manifest.json")
    write_params(folder / "params.yaml", **{"train.devices": 2, "pretrain.audio.epochs": EPOCHS})
    return folder


def start(root: Path, folder: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a stage; nothing is read ahead of its output, a pipe that holds fewer lines than a training prints."""
    environment = {**os.environ, "PYTHONPATH": str(root), "DVC_STAGE": STAGE}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "bufsize": 0, "pipesize": 4096}
    return subprocess.Popen([sys.executable, "-m", *command], cwd=folder, env=environment, **pipes)


def output(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end of a stage; return what it has printed that was not read."""
    return process.communicate(timeout=120)[0].decode()


def workers_of(process: subprocess.Popen[bytes], line: bytes) -> list[psutil.Process]:
    """Wait until a stage prints a line that starts with these words; return its workers, by rank."""
    printed = [b""]
    assert process.stdout is not None
    while not printed[-1].startswith(line):
        printed.append(process.stdout.readline())
        assert printed[-1], printed
    return sorted(psutil.Process(process.pid).children(), key=lambda worker: int(worker.environ()["RANK"]))


@pytest.fixture
def joined(root: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[psutil.Process]]]:
    """Start a stage that trains nothing; yield it and its workers once these are connected."""
    with start(root, folder, "tests.support.two_processes") as process:
        yield process, workers_of(process, b"joined")
        process.kill()


def wait_for_end(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def test_a_lost_process_ends_all_and_training_resumes(root: Path, folder: Path) -> None:
    """Loses a process in the second epoch; the job that then ends is written once."""
    with start(root, folder, *PRETRAIN) as process:
        workers = workers_of(process, b"epoch   2")
        assert listeners.addresses(process.pid) == {"127.0.0.1"}  # gloo's
        workers[1].kill()
        printed = output(process)
    lines = [line for line in printed.splitlines() if not line.startswith("epoch ")]
    assert lines == ["Error: train.devices: process 1 ended with SIGKILL. Run it again: it resumes"]
    assert process.returncode == 1
    wait_for_end(workers)

    with start(root, folder, *PRETRAIN) as process:
        printed = output(process)
    assert process.returncode == 0 and printed.count("epoch ") == EPOCHS, printed
    assert printed.count("resumes from data/.resume/made_up") == 1
    record = JobRecord.read(JobPaths.of(folder / "data/made_up", "audio", corpus.trial("fold_1")).record)
    assert record.epochs == EPOCHS
    log = json.loads((folder / "data/logs" / f"{STAGE}.json").read_text())
    assert log["device"].startswith("2 x cpu")


def test_processes_end_with_the_stage(joined: tuple[subprocess.Popen[bytes], list[psutil.Process]]) -> None:
    process, workers = joined
    process.kill()
    wait_for_end(workers)


def test_an_interrupt_ends_all_processes(joined: tuple[subprocess.Popen[bytes], list[psutil.Process]]) -> None:
    process, workers = joined
    process.send_signal(signal.SIGINT)
    printed = output(process)
    assert process.returncode == 1 and "Aborted" in printed and "Traceback" not in printed
    wait_for_end(workers)


def test_an_error_of_any_process_is_handed_over(root: Path, folder: Path) -> None:
    with start(root, folder, "tests.support.two_processes", "asks for an error") as process:
        printed = output(process)
    assert process.returncode == 1
    assert printed.splitlines() == ["joined", "Error: the test: asks for an error. Go on"]


def test_too_few_gpus_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(CfnsrError, match=r"train\.devices: is 2, torch finds 1 GPUs"):
        torchrun.launch(2, torch.device("cuda"))


def test_one_process_starts_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not torchrun.launch(1, torch.device("cpu"))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a worker")
    assert not torchrun.launch(2, torch.device("cpu"))
