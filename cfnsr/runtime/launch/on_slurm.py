"""Run jobs on a Slurm cluster whose machines share the repository, through submitit. Slurm queues jobs."""

from __future__ import annotations

import platform
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime.launch import LOGS, Outcome, repro

try:
    import submitit
    from submitit.core.utils import FailedJobError, UncompletedJobError
except ModuleNotFoundError as error:
    raise CfnsrError("--slurm", "submitit is not installed", "Run `pip install 'cfnsr[slurm]'`") from error


_TIME_MIN = 24 * 60  # unless `--slurm-option time=...` says otherwise; submitit's own default is 5 minutes


def _run(job: str, root: Path) -> tuple[int, str]:
    """Run a job on a machine of the cluster; return its status and the machine's name.

    If this process is killed, because it did not end soon enough after it was cancelled, its DVC ends too.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # scancel's signal, which submitit ignores
    return repro.run(job, root, die_with_parent=True), platform.node()


class OnSlurm:
    """Submit each job to Slurm.

    Args:
        root: of the repository, the same path on every machine.
        threads: number of cores of a job.
        gpus: number of GPUs of a job.
        options: other options of sbatch, for instance ``partition``.
        cluster: ``slurm``; ``local`` runs processes on this machine, for tests.

    Raises:
        CfnsrError: there is no Slurm here.
    """

    slots: int | None = None

    def __init__(
        self, root: Path, *, threads: int, gpus: int, options: Mapping[str, str], cluster: str = "slurm"
    ) -> None:
        self._root = root
        self._submitted: dict[str, Any] = {}  # by job
        self._cancelled: set[str] = set()
        try:
            self._executor = submitit.AutoExecutor(root / LOGS / "slurm", cluster=cluster)
        except RuntimeError as error:
            raise CfnsrError("--slurm", str(error), "Run it on a machine of the cluster") from error
        self._executor.update_parameters(
            name="cfnsr",
            cpus_per_task=threads,
            gpus_per_node=gpus,
            timeout_min=_TIME_MIN,
            slurm_additional_parameters=dict(options),
        )

    def start(self, job: str) -> None:
        """Submit a job."""
        try:
            self._submitted[job] = self._executor.submit(_run, job, self._root)
        except FailedJobError as error:
            raise CfnsrError("--slurm", str(error), "Correct the options of sbatch") from error

    def outcome(self, job: str) -> Outcome | None:
        """Return the outcome of the job; None while it is queued or runs."""
        if job in self._cancelled:  # Slurm ends it
            return Outcome(job, None, "", "cancelled")
        if not self._submitted[job].done():
            return None
        try:
            return Outcome(job, *self._submitted[job].result())
        except (FailedJobError, UncompletedJobError) as error:
            return Outcome(job, None, "", str(error).strip().splitlines()[0])

    def cancel(self, job: str) -> None:
        """Interrupt the job, or remove it from the queue."""
        if job not in self._cancelled:
            self._submitted[job].cancel()
            self._cancelled.add(job)

    def close(self) -> None:
        """Do nothing: submitted jobs need no connection."""
