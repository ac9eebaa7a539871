"""Run jobs on a Ray cluster whose machines share the repository. Ray queues jobs, assigns GPUs, and retries."""

from __future__ import annotations

import platform
import signal
import time
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime.launch import Outcome, repro
from cfnsr.runtime.parallel import import_ray, join_cluster

_CANCEL_AGAIN_S = 5


def _run(job: str, root: Path) -> tuple[int, str]:
    """Run a job in a worker of the cluster; return its status, and the machine's name with its node.

    If the worker is lost, its DVC ends too, because the job then runs on another machine. When the job is cancelled,
    ``KeyboardInterrupt`` is raised here.
    """
    # A worker whose cluster was started in the background ignores Ctrl-C, by which Ray cancels a task.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ray = import_ray()
    status = repro.run(job, root, die_with_parent=True)
    return status, f"{platform.node()} ({ray.get_runtime_context().get_node_id()[:6]})"


class OnRay:
    """Start jobs as tasks of Ray. A job whose machine is lost runs again on another machine.

    Args:
        root: of the repository, the same path on every machine.
        address: of the cluster; ``local`` starts one on this machine.
        threads: number of cores of a job.
        gpus: number of GPUs of a job; None: one for each of its processes if the cluster has any.
        devices: number of processes of a job.
        retries: of a job whose machine is lost.

    Raises:
        CfnsrError: there is no cluster at that address, or none of its machines is large enough for a job.
    """

    slots: int | None = None

    def __init__(self, root: Path, address: str, *, threads: int, gpus: int | None, devices: int, retries: int = 3):
        self._root = root
        self._references: dict[str, Any] = {}  # by job
        self._cancelled_at: dict[str, float] = {}  # by job, in seconds of the monotonic clock
        available = join_cluster(address, "--ray")
        self._ray: Any = import_ray()
        if gpus is None:
            gpus = devices if available.get("GPU", 0) else 0
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= threads and node.get("GPU", 0) >= gpus for node in nodes):
            self.close()
            sizes = "; ".join(f"{node.get('CPU', 0):.0f} and {node.get('GPU', 0):.0f}" for node in nodes)
            problem = f"a job needs {threads} cores and {gpus} GPUs of one machine; the machines have {sizes}"
            raise CfnsrError("--ray", problem, "Lower train.threads or train.devices, or start larger machines")
        self._task: Any = self._ray.remote(_run).options(
            num_cpus=threads, num_gpus=gpus, max_retries=retries, scheduling_strategy="SPREAD"
        )

    def start(self, job: str) -> None:
        """Submit a job to Ray."""
        self._references[job] = self._task.remote(job, self._root)

    def outcome(self, job: str) -> Outcome | None:
        """Return the outcome of the job; None while it is queued or runs."""
        finished, _ = self._ray.wait([self._references[job]], timeout=0)
        if not finished:
            return None
        try:
            return Outcome(job, *self._ray.get(self._references[job]))
        except self._ray.exceptions.RayError as error:
            return Outcome(job, None, "", str(error).strip().splitlines()[0])

    def cancel(self, job: str) -> None:
        """Interrupt the job, or remove it from the queue."""
        now = time.monotonic()
        # Again after a while: Python may swallow an interrupt, in a destructor for instance.
        if now - self._cancelled_at.get(job, float("-inf")) > _CANCEL_AGAIN_S:
            self._ray.cancel(self._references[job])
            self._cancelled_at[job] = now

    def close(self) -> None:
        """Disconnect from the cluster."""
        self._ray.shutdown()
