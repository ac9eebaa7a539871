"""A Ray cluster of two nodes here: ``python -m tests.support.cluster`` prints its address; ``lose`` on stdin kills one.

In a process of its own: what these tests may not do (other hosts than loopback, warnings) Ray does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class TwoNodes:
    """As seen from a test.

    Attributes:
        address: for ``--ray``.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()

    def lose_one(self) -> None:
        """Kill the node that is not the head, as a power cut would."""
        assert self._process.stdin is not None
        self._process.stdin.write("lose\n")
        self._process.stdin.flush()
        assert self._line() == "lost"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Start two nodes of one core each; one cluster at a time, whichever worker of pytest asks."""
    with FileLock(Path(tempfile.gettempdir()) / "cfnsr-tests-cluster.lock"):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.cluster"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield TwoNodes(process)
        finally:
            process.communicate()


if __name__ == "__main__":
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    for line in sys.stdin:
        assert line == "lose\n"
        cluster.remove_node(other, allow_graceful=False)
        print("lost", flush=True)
    cluster.shutdown()
