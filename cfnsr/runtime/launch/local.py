"""Run jobs as processes of this machine."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

from cfnsr.runtime.launch import Outcome, repro


class Local:
    """Start jobs as processes of this machine.

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
        self._running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}  # process and slot, by job
        self._cancelled_at: dict[str, float] = {}  # by job, in seconds of the monotonic clock

    def start(self, job: str) -> None:
        """Start a job. It sees only the GPUs of its slot."""
        slot = self._free.pop(0)
        environment = {"CUDA_VISIBLE_DEVICES": self._gpus[slot]} if self._gpus[slot] else {}
        self._running[job] = repro.start(job, self._root, environment), slot

    def outcome(self, job: str) -> Outcome | None:
        """Return the outcome of the job and free its slot; None while it runs."""
        process, slot = self._running[job]
        status = process.poll()
        if status is None:
            return None
        self._free.append(slot)
        return Outcome(job, status, platform.node())

    def cancel(self, job: str) -> None:
        """End the job's stage; DVC then ends too."""
        since_s = self._cancelled_at.setdefault(job, time.monotonic())
        repro.end_stages(self._running[job][0].pid, since_s)

    def close(self) -> None:
        """Do nothing: there is no cluster."""


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
