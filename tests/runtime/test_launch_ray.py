"""The same on a Ray cluster of two nodes, one of which is lost."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.cluster import TwoNodes
from tests.support.repository import Repository
from tests.test_launch import cells, untrained

pytest.importorskip("ray", reason="needs the extra of that name")
pytestmark = pytest.mark.xdist_group("ray")


def placed(printed: str) -> dict[str, str]:
    """By cell that was done, the node that did it."""
    return dict(re.findall(r"^done (\S+) on \S+ \((\w+)\)", printed, re.MULTILINE))


def two_working(there: Repository) -> list[psutil.Process]:
    """The processes of two cells, as soon as there are."""
    until = time.monotonic() + 60
    while len(there.working()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    found = [*there.working()]
    assert len(found) == 2
    return found


def test_a_cluster_leaves_the_lock_that_one_machine_does(
    finished: Repository, tmp_path: Path, cluster: TwoNodes
) -> None:
    there = untrained(finished, tmp_path / "there")
    done = placed(there.run("cfnsr", "launch", "--ray", cluster.address))
    assert set(done) == cells("video", "audio", "averaging", "cfnsr") and len(set(done.values())) == 2
    there.repro()
    assert there.lock == finished.lock and there.results() == finished.results()


def test_a_cell_whose_node_is_lost_runs_elsewhere(finished: Repository, tmp_path: Path, cluster: TwoNodes) -> None:
    there = untrained(finished, tmp_path / "there")
    process = there.start("cfnsr", "launch", "--ray", cluster.address)
    working = two_working(there)
    cluster.lose_one()
    time.sleep(1)
    assert len([one for one in working if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]) <= 1
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert set(placed(printed)) == cells("video", "audio", "averaging", "cfnsr")
    there.run("cfnsr", "check")
    there.repro()
    assert there.entries() == finished.entries() and there.results() == finished.results()
    assert not there.corrupt()


def test_an_interrupted_launch_leaves_no_process(finished: Repository, tmp_path: Path, cluster: TwoNodes) -> None:
    there = untrained(finished, tmp_path / "there")
    there.edit("  video:\n    epochs: 2", "  video:\n    epochs: 400")
    process = there.start("cfnsr", "launch", "--ray", cluster.address)
    working = two_working(there)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "Aborted" in printed and "Traceback" not in printed, printed
    assert not [one for one in working if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    there.run("cfnsr", "check")


def test_what_ray_cannot_do_is_told(finished: Repository, tmp_path: Path, cluster: TwoNodes) -> None:
    there = finished.copy(tmp_path / "there")
    there.edit("      heads: 8 ", "      heads: 4 ")
    told = there.run("cfnsr", "launch", "--ray", cluster.address, "--gpus", "1", status=1)
    assert "1 cores and 1 GPUs of one node, and no node has them (they have 1 and 0; 1 and 0). Lower train" in told
    there.edit("  threads: 1 ", "  threads: 2 ")  # as many as both nodes have together
    told = there.run("cfnsr", "launch", "--ray", cluster.address, status=1)
    assert "2 cores and 0 GPUs of one node, and no node has them" in told
    assert "no cluster at 127.0.0.1:1" in there.run("cfnsr", "launch", "--ray", "127.0.0.1:1", status=1)
