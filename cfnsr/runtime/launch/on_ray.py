"""Cells side by side on a Ray cluster that shares the workspace: Ray places them, gives each its GPU, tries again."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime import parallel
from cfnsr.runtime.launch import LOGS, Outcome, cell

ray = parallel.import_ray()

_PATIENCE_S = 60  # for cells that were cancelled: DVC ends in its own way


def _run(name: str, root: Path) -> tuple[int, str]:
    """In a worker of the cluster: run a cell; its status, and the machine's name and node.

    A worker that is lost takes its DVC with it, since the cell then runs elsewhere. Cancelling raises
    ``KeyboardInterrupt`` here.
    """
    status = cell.run(name, root, root / LOGS / f"{name}.log", lambda: False, lifelong=False)
    return status, f"{platform.node()} ({ray.get_runtime_context().get_node_id()[:6]})"


class OnRay:
    """Cells as tasks of Ray. One whose machine is lost is run again, on another.

    Args:
        root: the repository's, under the same path on every machine.
        address: of the cluster; ``local`` starts one on this machine.
        threads: cores that a cell takes.
        devices: processes that a cell has.
        gpus: GPUs that a cell takes; none: one for each process where the cluster has any.
        retries: how often a cell may lose its machine.

    Raises:
        CfnsrError: there is no cluster at that address.
    """

    def __init__(
        self, root: Path, address: str, *, threads: int, devices: int, gpus: int | None, retries: int = 3
    ) -> None:
        self._root, self._running = root, dict[Any, str]()
        there = parallel.join_cluster(address, "--ray")
        gpus = gpus if gpus is not None else devices * (there.get("GPU", 0) > 0)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= threads and node.get("GPU", 0) >= gpus for node in nodes):
            self.stop()
            have = "; ".join(f"{node.get('CPU', 0):.0f} and {node.get('GPU', 0):.0f}" for node in nodes)
            raise CfnsrError(
                "--ray",
                f"a cell takes {threads} cores and {gpus} GPUs of one node, and no node has them (they have {have})",
                "Lower train.threads or train.devices, or start larger nodes",
            )
        task: Any = ray.remote(_run)
        self._task = task.options(num_cpus=threads, num_gpus=gpus, max_retries=retries, scheduling_strategy="SPREAD")

    def submit(self, name: str) -> None:
        """Run a cell as soon as there is room."""
        self._running[self._task.remote(name, self._root)] = name

    def finished(self, within_s: float) -> list[Outcome]:
        """The cells that have ended, waiting for one at most so long."""
        done, _ = ray.wait(list(self._running), timeout=within_s)
        return [self._outcome(self._running.pop(reference), reference) for reference in done]

    def _outcome(self, name: str, reference: Any) -> Outcome:
        try:
            status, place = ray.get(reference)
        except ray.exceptions.RayError as error:
            return Outcome(name, None, "", str(error).strip().splitlines()[0])
        return Outcome(name, status, place)

    def stop(self) -> None:
        """End what runs; start no other; leave the cluster."""
        for reference in self._running:
            ray.cancel(reference)
        if self._running:
            ray.wait(list(self._running), num_returns=len(self._running), timeout=_PATIENCE_S)
        ray.shutdown()
