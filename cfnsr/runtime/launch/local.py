"""Run jobs in processes of this machine."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from cfnsr.errors import CfnsrError
from cfnsr.runtime.launch import LOGS, Outcome, repro

_ANSWER_BYTES = 16  # more than an answer has


class Local:
    """Run jobs in processes of this machine: a DVC process for each slot, which runs one job after another.

    Args:
        root: of the repository.
        slots: number of jobs at a time.
        gpus: GPUs for the jobs, as in CUDA_VISIBLE_DEVICES.
        gpus_per_job: number of GPUs of a job.

    Attributes:
        slots: number of jobs at a time.
    """

    def __init__(self, root: Path, slots: int, gpus: list[str], gpus_per_job: int) -> None:
        self.slots: int | None = slots
        self._root, self._free = root, list(range(slots))
        self._gpus = share(gpus, slots, gpus_per_job)
        self._workers: dict[int, subprocess.Popen[bytes]] = {}  # by slot
        self._running: dict[str, int] = {}  # slot, by job
        self._cancelled_at: dict[str, float] = {}  # by job, in seconds of the monotonic clock

    def start(self, job: str) -> None:
        """Start a job. It sees only the GPUs of its slot."""
        slot = self._running[job] = self._free.pop(0)
        if slot not in self._workers:
            environment = {"CUDA_VISIBLE_DEVICES": self._gpus[slot]} if self._gpus[slot] else {}
            self._workers[slot] = repro.start_worker(self._root, environment)
        with suppress(BrokenPipeError):  # the worker has ended: `outcome` sees it
            _pipe(self._workers[slot].stdin).write(f"{job}\n".encode())

    def outcome(self, job: str) -> Outcome | None:
        """Return the outcome of the job and free its slot; None while it runs."""
        slot = self._running[job]
        answer = _pipe(self._workers[slot].stdout).read(_ANSWER_BYTES)
        if answer is None:
            return None
        self._free.append(slot)
        if answer:
            return Outcome(job, int(answer), platform.node())
        with self._workers.pop(slot) as worker:  # it has ended
            pass
        return Outcome(job, worker.returncode or 1, platform.node())

    def cancel(self, job: str) -> None:
        """End the job's stage; DVC's work on it then ends too."""
        since_s = self._cancelled_at.setdefault(job, time.monotonic())
        repro.end_stages(self._workers[self._running[job]].pid, since_s)

    def close(self) -> None:
        """Have the workers write dvc.lock and end.

        Raises:
            CfnsrError: one of them could not.
        """
        for worker in self._workers.values():
            _pipe(worker.stdin).close()
        for worker in self._workers.values():
            with worker:  # waits
                pass
        if any(worker.returncode for worker in self._workers.values()):
            problem = f"was not written to the end (the newest file in {self._root / LOGS} says why)"
            raise CfnsrError("dvc.lock", problem, "Run `dvc repro`: it takes finished stages from its cache")


def _pipe(file: IO[bytes] | None) -> IO[bytes]:
    assert file is not None  # it was opened as a pipe
    return file


def share(gpus: list[str], slots: int, gpus_per_job: int) -> list[str]:
    """Assign GPUs to slots in turn; if there are too few, several slots share one.

    Returns:
        CUDA_VISIBLE_DEVICES of each slot; empty without GPUs.
    """
    if not gpus:
        return [""] * slots
    turns = itertools.cycle(gpus)
    return [",".join(itertools.islice(turns, gpus_per_job)) for _ in range(slots)]


def gpus() -> list[str]:
    """List the usable GPUs of this machine, as in CUDA_VISIBLE_DEVICES, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run([program, "--list-gpus"], capture_output=True, text=True)  # noqa: S603
    return [str(number) for number in range(listed.stdout.count("GPU "))] if listed.returncode == 0 else []
