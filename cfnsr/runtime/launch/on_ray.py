"""Jobs on a Ray cluster whose machines share the repository. Ray queues jobs, gives each its GPUs, and retries."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime.launch import Outcome, repro
from cfnsr.runtime.parallel import import_ray, join_cluster

_CANCEL_AGAIN_S = 5


def _run(job: str, root: Path) -> tuple[int, str]:
    """Run a job in a worker of the cluster; return its status, and the machine's name with its node.

    If the worker is lost, its DVC ends too, because the job then runs elsewhere. Cancelling raises
    ``KeyboardInterrupt`` here.
    """
    ray = import_ray()
    status = repro.run(job, root, die_with_parent=True)
    return status, f"{platform.node()} ({ray.get_runtime_context().get_node_id()[:6]})"


class OnRay:
    """Start jobs as tasks of Ray. A job whose machine is lost runs again on another.

    Args:
        root: the repository's, the same path on every machine.
        address: of the cluster; ``local`` starts one on this machine.
        threads: cores that a job takes.
        gpus: GPUs that a job takes; None: one for each of its processes where the cluster has any.
        devices: processes that a job has.
        retries: how often a job may lose its machine.

    Raises:
        CfnsrError: there is no cluster at that address, or none of its machines is large enough for a job.
    """

    slots: int | None = None

    def __init__(self, root: Path, address: str, *, threads: int, gpus: int | None, devices: int, retries: int = 3):
        self._root = root
        self._ray: Any = import_ray()
        available = join_cluster(address, "--ray")
        if gpus is None:
            gpus = devices if available.get("GPU", 0) else 0
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= threads and node.get("GPU", 0) >= gpus for node in nodes):
            self.close()
            sizes = "; ".join(f"{node.get('CPU', 0):.0f} and {node.get('GPU', 0):.0f}" for node in nodes)
            raise CfnsrError(
                "--ray",
                f"a job needs {threads} cores and {gpus} GPUs of one machine; the machines have {sizes}",
                "Lower train.threads or train.devices, or start larger machines",
            )
        self._task: Any = self._ray.remote(_run).options(
            num_cpus=threads, num_gpus=gpus, max_retries=retries, scheduling_strategy="SPREAD"
        )

    def start(self, job: str) -> RayJob:
        """Give a job to Ray."""
        return RayJob(self._ray, job, self._task.remote(job, self._root))

    def close(self) -> None:
        """Disconnect from the cluster."""
        self._ray.shutdown()


class RayJob:
    """A task of Ray."""

    def __init__(self, ray: Any, job: str, reference: Any) -> None:
        self._ray, self._job, self._reference = ray, job, reference
        self._cancelled_at = float("-inf")

    def outcome(self) -> Outcome | None:
        """Return what became of the job; None while it is queued or runs."""
        finished, _ = self._ray.wait([self._reference], timeout=0)
        if not finished:
            return None
        try:
            status, machine = self._ray.get(self._reference)
        except self._ray.exceptions.RayError as error:
            return Outcome(self._job, None, "", str(error).strip().splitlines()[0])
        return Outcome(self._job, status, machine)

    def cancel(self) -> None:
        """Interrupt the job, or take it out of the queue."""
        now = time.monotonic()
        if now - self._cancelled_at > _CANCEL_AGAIN_S:  # Python may swallow an interrupt, in a destructor for instance
            self._ray.cancel(self._reference)
            self._cancelled_at = now
