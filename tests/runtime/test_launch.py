"""Jobs in parallel: the same results as one after another, whatever happens on the way."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cfnsr.errors import CfnsrError
from cfnsr.runtime.dvc_repository import Plan, plan
from cfnsr.runtime.launch import Outcome, Summary, repro, run_all
from cfnsr.runtime.launch.display import JobTable
from cfnsr.runtime.launch.local import Local, gpus, share
from cfnsr.runtime.launch.repro import errors, log_file
from tests.support.jobs import AUDIO, FUSED, STAGES, VIDEO, JobRepository, wait_for


class Recorded:
    """A display that records its calls and may stop the launch."""

    def __init__(self, repository: JobRepository | None = None) -> None:
        self.steps: list[tuple[str, ...]] = []
        self._repository = repository

    def started(self, job: str) -> None:
        self.steps.append(("started", job))

    def ended(self, outcome: Outcome) -> None:
        self.steps.append(("ended", outcome.job))

    def skipped(self, job: str, failed: str) -> None:
        self.steps.append(("skipped", job, failed))

    def refresh(self) -> None:
        if self._repository and self._repository.is_running(AUDIO) and self._repository.is_running(VIDEO):
            raise KeyboardInterrupt


def launch(repository: JobRepository, display: Any = None, slots: int = 2, **gpu: Any) -> Summary:
    backend = Local(repository.folder, slots, gpu.get("gpus", []), gpu.get("gpus_per_job", 1))
    return run_all(plan(repository.folder, STAGES), backend, display or Recorded())


def test_parallel_jobs_leave_the_lock_of_serial_ones(job_repository: JobRepository, tmp_path: Path) -> None:
    serial = job_repository.copy(tmp_path / "serial")
    serial.dvc("repro")
    parallel = job_repository.copy(tmp_path / "parallel")
    assert launch(parallel, gpus=["4", "7"]) == Summary()
    assert parallel.lock() == serial.lock()
    assert plan(parallel.folder, STAGES) == Plan({}, 3)
    assert {parallel.control(job, "gpus").read_text() for job in (AUDIO, VIDEO)} == {"4", "7"}


def test_a_failure_stops_only_jobs_that_need_it(job_repository: JobRepository, tmp_path: Path) -> None:
    repository = job_repository.copy(tmp_path / "repository")
    repository.control(AUDIO, "fail").touch()
    summary = launch(repository)
    assert [outcome.job for outcome in summary.failed] == [AUDIO] and summary.skipped == {FUSED: AUDIO}
    assert errors(AUDIO, repository.folder)[0] == "Error: the test: asks for a failure. Delete the file"
    repository.control(AUDIO, "fail").unlink()
    assert plan(repository.folder, STAGES) == Plan({AUDIO: set(), FUSED: {AUDIO}}, 1)


def test_an_interrupt_leaves_no_process_and_whole_files(job_repository: JobRepository, tmp_path: Path) -> None:
    repository = job_repository.copy(tmp_path / "repository")
    for job in (AUDIO, VIDEO):
        repository.control(job, "hold").touch()
    with pytest.raises(KeyboardInterrupt):
        launch(repository, Recorded(repository))
    assert repository.processes() == []
    assert list(repository.lock()) == ["check"]
    assert set(plan(repository.folder, STAGES).needs) == {AUDIO, VIDEO, FUSED}


def test_an_error_that_ends_in_a_colon_goes_on(tmp_path: Path) -> None:
    log = log_file(AUDIO, tmp_path)
    log.parent.mkdir(parents=True)
    busy = ["ERROR: failed to reproduce 'a': 'out' is busy, it is being blocked by:", "  (PID 7): dvc repro", "", "If"]
    log.write_text("\n".join(["Running stage 'a':", *busy, "Error: other", "later"]))
    assert errors(AUDIO, tmp_path) == [f"{busy[0]} (PID 7): dvc repro", "Error: other"]
    log.write_text("\n".join([*busy[:2], "  (PID 8): dvc status", "", "If"]))
    assert errors(AUDIO, tmp_path) == [f"{busy[0]} (PID 7): dvc repro (PID 8): dvc status"]
    log.write_text("ERROR: nothing follows:")
    assert errors(AUDIO, tmp_path) == ["ERROR: nothing follows:"]


def ended(backend: Local, job: str) -> Outcome:
    outcomes: list[Outcome | None] = []
    wait_for(lambda: outcomes.append(backend.outcome(job)) or outcomes[-1])
    assert outcomes[-1] is not None
    return outcomes[-1]


def test_what_a_worker_could_not_write_is_cached(job_repository: JobRepository, tmp_path: Path) -> None:
    """A killed worker fails its job, another one takes its place; stages whose entries were lost do not run again."""
    repository = job_repository.copy(tmp_path / "repository")
    lock = repository.folder / "dvc.lock"
    backend = Local(repository.folder, 1, [], 1)
    backend.start(AUDIO)
    assert ended(backend, AUDIO).done
    repository.control(VIDEO, "hold").touch()
    backend.start(VIDEO)
    wait_for(lambda: repository.is_running(VIDEO))
    (worker,) = [process for process in repository.processes() if "worker" in "".join(process.cmdline())]
    worker.kill()
    assert ended(backend, VIDEO).status == -signal.SIGKILL
    repository.control(VIDEO, "hold").unlink()
    backend.start(VIDEO)
    assert ended(backend, VIDEO).done
    lock.rename(kept := lock.with_suffix(".kept"))
    lock.mkdir()
    with pytest.raises(CfnsrError, match=r"dvc\.lock: was not written .*`dvc repro`: it takes finished stages"):
        backend.close()
    lock.rmdir()
    kept.rename(lock)
    assert list(repository.lock()) == ["check"]
    assert repository.dvc("repro", "pretrain").count("is cached - skipping run") == 2


# As DVC: it waits for its stage, which ignores SIGTERM.
_DEAF = """
import subprocess, sys
stage = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('runs', flush=True); time.sleep(99)"
sys.exit(subprocess.run([sys.executable, "-c", stage]).returncode)
"""


def test_stages_that_ignore_sigterm_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repro, "_KILL_AFTER_S", 0.5)
    with subprocess.Popen([sys.executable, "-c", _DEAF], stdout=subprocess.PIPE, text=True) as dvc:
        assert dvc.stdout is not None and dvc.stdout.readline() == "runs\n"
        since_s = time.monotonic()
        repro.end_stages(dvc.pid, since_s)
        assert dvc.poll() is None
        while dvc.poll() is None and time.monotonic() < since_s + 30:
            repro.end_stages(dvc.pid, since_s)
            time.sleep(0.02)
        assert dvc.poll() == 256 - signal.SIGKILL


class Scripted:
    """A backend whose jobs end in a given order."""

    def __init__(self, *outcomes: tuple[str, int | None], slots: int | None = None) -> None:
        self.slots, self.outcomes, self.closed = slots, list(outcomes), False
        self.running: set[str] = set()
        self.most = 0

    def start(self, job: str) -> None:
        self.running.add(job)
        self.most = max(self.most, len(self.running))

    def outcome(self, job: str) -> Outcome | None:
        if not self.outcomes or self.outcomes[0][0] != job:
            return None
        self.running.remove(job)
        return Outcome(*self.outcomes.pop(0), "here")

    def cancel(self, job: str) -> None:
        self.outcomes.insert(0, (job, 255))

    def close(self) -> None:
        self.closed = True


def test_interrupt_that_python_ignores_still_ends_it() -> None:
    class Deaf(Scripted):
        def outcome(self, job: str) -> Outcome | None:
            if not self.outcomes:
                with suppress(KeyboardInterrupt):  # as in a destructor, where Python ignores what is raised
                    os.kill(os.getpid(), signal.SIGINT)
            return super().outcome(job)

    backend = Deaf()
    with pytest.raises(KeyboardInterrupt):
        run_all(Plan({"a": set()}, 0), backend, Recorded())
    assert backend.closed and not backend.running


def test_the_first_cause_is_named_for_all_skipped() -> None:
    needs = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "b", "c"}, "other": set()}
    display, backend = Recorded(), Scripted(("other", 0), ("a", None))
    summary = run_all(Plan(needs, 0), backend, display)
    assert [outcome.job for outcome in summary.failed] == ["a"] and summary.skipped == dict.fromkeys("bcd", "a")
    assert ("skipped", "d", "a") in display.steps and backend.closed


def test_no_more_jobs_run_than_slots() -> None:
    backend = Scripted(*((job, 0) for job in "abcd"), slots=2)
    assert run_all(Plan({job: set() for job in "abcd"}, 0), backend, Recorded()) == Summary()
    assert backend.most == 2


def test_an_error_cancels_the_running_jobs() -> None:
    class Broken(Recorded):
        def refresh(self) -> None:
            raise OSError

    backend = Scripted()
    with pytest.raises(OSError):
        run_all(Plan({"a": set()}, 0), backend, Broken())
    assert backend.running == set() and backend.closed


def test_gpus_are_those_that_are_visible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert gpus() == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "GPU 0: A"\necho "GPU 1: B"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert gpus() == ["0", "1"]
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []


def test_slots_take_gpus_in_turn() -> None:
    assert share(["0", "1", "2"], 4, 1) == ["0", "1", "2", "0"]
    assert share(["0", "1", "2"], 4, 2) == ["0,1", "2,0", "1,2", "0,1"]
    assert share([], 2, 1) == ["", ""]


def test_a_terminal_shows_running_jobs_and_last_lines(tmp_path: Path) -> None:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=160, color_system=None)
    log = log_file("a", tmp_path)
    log.parent.mkdir(parents=True)
    log.write_text("of an earlier run\n")
    with JobTable(console, tmp_path, ["a", "b", "c"], {}) as table:
        table.started("a")
        table.started("b")
        table.refresh()
        assert "0 of 3, 2 queued" in printed.getvalue() and "earlier" not in printed.getvalue()
        log.write_text("epoch  1\nepoch  2  accuracy [12.5%]\n\n")
        table.refresh()
        table.ended(Outcome("a", 255, "here"))
        table.skipped("c", "a")
        table.refresh()
    text = printed.getvalue()
    assert re.search(r"^ *a +0 +epoch  2  accuracy \[12\.5%\]", text, re.MULTILINE) and "epoch  1" not in text
    assert "0 of 3, 1 queued" in text and "2 of 3, 1 queued" in text
    assert "failed a on here, 0 s (1 of 3)" in text and "skipped c: a failed (2 of 3)" in text


def test_time_left_is_of_last_runs_and_alike_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    now = 1.0
    monkeypatch.setattr("cfnsr.runtime.launch.display.time.monotonic", lambda: now)
    log_file("a", tmp_path).parent.mkdir(parents=True)
    jobs = ["a@1", "a@2", "a@3", "b@1", "c@1"]
    table = JobTable(Console(file=printed, width=100), tmp_path, jobs, {"a@2": 300.0, "b@1": 60.0})
    for job in jobs[:2]:
        table.started(job)
        log_file(job, tmp_path).touch()
    table.refresh()
    now = 101.0
    table.ended(Outcome("a@1", 0, ""))  # left: of a@2 200 s, a@3 as the mean of 100 and 300, 60 of b@1; c@1 unknown
    table.started("c@1")
    table.ended(Outcome("c@1", 1, ""))
    table.ended(Outcome("a@2", 0, ""))  # which took 100 s this time, as a@3 will
    assert printed.getvalue().splitlines() == [
        "done a@1, 100 s (1 of 5, more than 8 min left)",
        "failed c@1, 0 s (2 of 5, about 8 min left)",
        "done a@2, 100 s (3 of 5, about 3 min left)",
    ]
