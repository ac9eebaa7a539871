"""Process clips in parallel: with threads or processes of this machine, or on a Ray cluster.

The choice changes no result. docs/decisions/0020-clips-in-parallel.md says why joblib's own generator is not used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import socket
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from cfnsr.errors import CfnsrError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # items for each worker that are computed before their turn
_AHEAD_ON_RAY = 2  # for each core of the cluster: one runs, one waits
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_RETRIES = 3  # of an item whose machine is lost
_CONNECT_S = 5
# Ray reads this when it is imported. Where it is 0, as by default on macOS and Windows, Ray's node has the address of
# the loopback interface, to which all its servers bind; else they bind to all interfaces.
_LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


def run(
    work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int, backend: str, address: str
) -> Generator[Result]:
    """Call ``work`` on items in parallel; yield the results in the order of the items.

    Only a few results are computed in advance. Closing the generator ends the work.

    Args:
        work: a function of a module, because it may run in another process or on another machine.
        items: objects that pickle can write, for the same reason.
        jobs: number of items at a time; 0 uses every core.
        backend: ``threading``, ``loky`` (processes) or ``ray``.
        address: see ``join_cluster``.

    Raises:
        CfnsrError: Ray is not installed, there is no cluster at that address, or its machines were lost.
    """
    if backend == "ray":
        return _run_on_ray(work, items, jobs, address)
    return _run_here(work, items, jobs, backend)


def _run_here(work: Callable[[Item], Result], items: Sequence[Item], jobs: int, backend: str) -> Generator[Result]:
    from joblib import cpu_count

    workers = jobs or cpu_count()
    executor = _processes(workers) if backend == "loky" else ThreadPoolExecutor(workers)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            if len(pending) == _AHEAD * workers:
                yield pending.popleft().result()
            pending.append(executor.submit(work, item))
        while pending:
            yield pending.popleft().result()
    finally:
        # Also when the consumer has failed, and at the end of Python if it did not close the generator. Results that
        # nobody takes must not be waited for: by then there may be no worker any more.
        for future in pending:
            future.cancel()
        executor.shutdown()


def _processes(workers: int) -> Executor:
    from joblib.externals.loky import ProcessPoolExecutor

    # Each process works on one clip, with one thread.
    return ProcessPoolExecutor(workers, env=dict.fromkeys(_THREADS, "1"))


def _run_on_ray(work: Callable[[Item], Result], items: Sequence[Item], jobs: int, address: str) -> Generator[Result]:
    resources = join_cluster(address, "parallel.address")
    ray = import_ray()
    ahead = jobs or max(_AHEAD_ON_RAY, _AHEAD_ON_RAY * int(resources.get("CPU", 0)))
    task = ray.remote(work_in_workspace).options(num_cpus=1, max_retries=_RETRIES, scheduling_strategy="SPREAD")
    pending: deque[Any] = deque()
    try:
        for item in items:
            if len(pending) == ahead:
                yield _get(ray, pending.popleft())
            pending.append(task.remote(work, item, Path.cwd()))
        while pending:
            yield _get(ray, pending.popleft())
    finally:
        ray.shutdown()  # cancels running items


def work_in_workspace(work: Callable[[Item], Result], item: Item, workspace: Path) -> Result:
    """Call ``work`` on one item on a machine of the cluster, in the driver's working directory.

    Raises:
        CfnsrError: the machine does not have that directory.
    """
    if not workspace.is_dir():
        problem = f"is missing on {platform.node()}"
        raise CfnsrError(workspace, problem, "Share the folder with every machine of the cluster")
    with contextlib.chdir(workspace):
        return work(item)


def _get(ray: ModuleType, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, CfnsrError):
            raise cause from error
        reason = str(error).strip().splitlines()[-1]
        problem = f"Ray lost the work ({reason})"
        raise CfnsrError("parallel.backend", problem, "Check that the cluster's machines are running") from error


def import_ray() -> ModuleType:
    """Import Ray with its usage statistics switched off.

    Raises:
        CfnsrError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise CfnsrError("Ray", "is not installed", "Run `pip install 'cfnsr[ray]'`") from error
    return ray


def join_cluster(address: str, asked_by: str) -> Mapping[str, float]:
    """Connect to a Ray cluster whose machines share the working directory, until ``ray.shutdown()``.

    Args:
        address: ``HOST:PORT``; ``auto`` is the cluster that this machine belongs to; ``local`` starts one here, which
            other machines cannot reach.
        asked_by: the option or key that holds the address, for the error.

    Returns:
        The cluster's resources by name: ``CPU``, ``GPU`` and more.

    Raises:
        CfnsrError: there is no cluster at that address.
    """
    if address == "local":
        os.environ[_LOOPBACK_ONLY] = "0"
    ray = import_ray()
    try:
        host, colon, port = address.rpartition(":")
        if colon and "://" not in address:  # fail at once if there is no server: Ray would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        ray.init(
            address=address,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (OSError, ray.exceptions.RayError, ValueError) as error:
        problem = f"there is no cluster at {address} ({error})"
        raise CfnsrError(asked_by, problem, "Start one with `ray start`") from error
    return ray.cluster_resources()
