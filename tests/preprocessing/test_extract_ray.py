"""Extraction on a Ray cluster of two nodes: the same bytes, whatever becomes of a node."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cfnsr.errors import CfnsrError
from tests.support.cluster import TwoNodes
from tests.support.repository import Repository

pytest.importorskip("ray", reason="needs the extra of that name")
pytestmark = pytest.mark.xdist_group("ray")


def on_cluster(finished: Repository, folder: Path, address: str) -> Repository:
    there = finished.copy(folder)
    there.edit("  engine: threads ", "  engine: ray ")
    there.edit("  address: auto ", f"  address: '{address}' ")
    return there


@contextmanager
def working(cluster: TwoNodes, folder: Path, items: int) -> Iterator[subprocess.Popen[str]]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.worked", cluster.address, str(folder), str(items)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def results(process: subprocess.Popen[str], count: int) -> list[tuple[int, str, int]]:
    """The next so many: number, node, and how many items had been begun by then; each is asked for in its turn."""
    assert process.stdin is not None and process.stdout is not None
    found = []
    while len(found) < count and (line := process.stdout.readline()):
        if told := re.fullmatch(r"done (\d+) (\w+) (\d+)\n", line):  # Ray speaks too
            found.append((int(told[1]), told[2], int(told[3])))
            process.stdin.write("\n")
            process.stdin.flush()
    return found


def test_two_nodes_write_the_shards_that_threads_do(finished: Repository, tmp_path: Path, cluster: TwoNodes) -> None:
    there = on_cluster(finished, tmp_path / "there", cluster.address)
    there.run("dvc", "repro", "--force", "--single-item", "extract")
    assert there.lock == finished.lock
    assert there.repro() == []


def test_a_bad_clip_is_told_as_ever(finished: Repository, tmp_path: Path, cluster: TwoNodes) -> None:
    here, there = finished.copy(tmp_path / "here"), on_cluster(finished, tmp_path / "there", cluster.address)
    command = "python -m stages.extract studio data/studio/raw/01 data/studio/faces/02.parquet out"
    told = [repository.run(*command.split(), status=1).splitlines()[1:] for repository in (here, there)]
    assert told[0] == told[1] and len(told[0]) == 1 and "no landmarks" in told[0][0]


def test_results_come_in_order_from_both_nodes_and_few_exist_ahead(cluster: TwoNodes, tmp_path: Path) -> None:
    with working(cluster, tmp_path / "begun", 12) as process:
        found = results(process, 12)
    assert [number for number, _, _ in found] == [*range(12)]
    assert len({node for _, node, _ in found}) == 2
    assert all(begun <= number + 4 for number, _, begun in found)


def test_what_a_lost_node_had_is_worked_on_again(cluster: TwoNodes, tmp_path: Path) -> None:
    with working(cluster, tmp_path / "begun", 16) as process:
        found = results(process, 4)
        cluster.lose_one()
        found += results(process, 12)
    assert [number for number, _, _ in found] == [*range(16)]
    assert len({node for _, node, _ in found[:4]}) == 2 and len({node for _, node, _ in found[-8:]}) == 1


def test_a_node_without_the_workspace_is_told(tmp_path: Path) -> None:
    from cfnsr.runtime.engines.on_ray import _there  # what a node runs

    with pytest.raises(CfnsrError, match=r"absent: is not there on \S+\. Share the workspace between the nodes"):
        _there(str, 1, tmp_path / "absent")
    assert _there(lambda name: Path(name).resolve(), "here", tmp_path) == tmp_path.resolve() / "here"


def test_a_cluster_that_is_not_there_is_told(finished: Repository, tmp_path: Path) -> None:
    there = on_cluster(finished, tmp_path / "there", "127.0.0.1:1")
    told = there.run("dvc", "repro", "--force", "--single-item", "extract@studio-01", status=255)
    assert "Error: parallel.address: no cluster at 127.0.0.1:1" in told and "Traceback" not in told
