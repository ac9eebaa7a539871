"""The cores of a Ray cluster that shares the workspace."""

from __future__ import annotations

import contextlib
import platform
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime import cluster
from cfnsr.runtime.cluster import RayError, ray
from cfnsr.runtime.engines import Item, Result

_AHEAD = 2  # items a core has been given: one to work on, one to go on with
_RETRIES = 3


def _there(work: Callable[[Item], Result], item: Item, root: Path) -> Result:
    """In a worker of the cluster, which works on one item at a time: as if it stood where the driver does."""
    if not root.is_dir():
        raise CfnsrError(root, f"is not there on {platform.node()}", "Share the workspace between the nodes")
    with contextlib.chdir(root):
        return work(item)


class OnRay:
    """Items as tasks of Ray, one core each. One whose machine is lost is worked on again, on another.

    Args:
        address: of the cluster, see ``cluster.join``.
        jobs: items at a time; 0: as many as keep every core of the cluster busy.

    Raises:
        CfnsrError: there is no cluster at that address.
    """

    def __init__(self, address: str, jobs: int) -> None:
        self._address, self._jobs = address, jobs

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]:
        """Results in the items' order; those that are not asked for yet lie in Ray's store, a bounded number."""
        there = cluster.join(self._address, "parallel.address")
        ahead = self._jobs or max(_AHEAD, _AHEAD * int(there.get("CPU", 0)))
        root = Path.cwd()
        remote: Any = ray.remote(_there)
        task = remote.options(num_cpus=1, max_retries=_RETRIES, scheduling_strategy="SPREAD")
        given: deque[Any] = deque()
        try:
            for item in items:
                if len(given) == ahead:
                    yield self._result(given.popleft())
                given.append(task.remote(work, item, root))
            while given:
                yield self._result(given.popleft())
        finally:
            ray.shutdown()  # what is still being worked on ends with its driver

    def _result(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, CfnsrError):
                raise cause from error
            why = str(error).strip().splitlines()[-1]
            raise CfnsrError("parallel.engine", f"Ray lost the work ({why})", "Look at the cluster's nodes") from error
