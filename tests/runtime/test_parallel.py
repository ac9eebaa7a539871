"""Parallel work in threads, in processes, and on a Ray cluster of two nodes."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cfnsr.corpora import filenames
from cfnsr.corpora.filenames import Take
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import face_boxes
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime import parallel
from tests.support import listeners
from tests.support.cluster import TwoNodes, two_nodes
from tests.support.media import numbered

BACKENDS = ("threading", "loky")


def run(work: Callable[[int], int], count: int, backend: str = "threading") -> Iterator[int]:
    return parallel.run(work, range(count), jobs=2, backend=backend, address="auto")


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_come_in_order(backend: str) -> None:
    assert list(run(square, 70, backend)) == [number * number for number in range(70)]
    assert list(run(square, 0, backend)) == []


def test_processes_are_other_processes() -> None:
    pids = set(parallel.run(process_id, range(4), jobs=2, backend="loky", address="auto"))
    assert os.getpid() not in pids


def process_id(_: int) -> int:
    return os.getpid()


def test_few_results_are_made_ahead() -> None:
    started: list[int] = []
    results = run(lambda number: started.append(number) or number, 500)
    assert next(results) == 0
    assert len(started) < 100
    results.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_early_ends_the_work(backend: str) -> None:
    before = set(threading.enumerate())
    results = run(square, 500, backend)
    assert next(results) == 0
    results.close()
    assert list(run(square, 3, backend)) == [0, 1, 4]
    if backend == "threading":
        assert not [thread for thread in set(threading.enumerate()) - before if not thread.daemon]


@pytest.mark.parametrize("backend", BACKENDS)
def test_error_of_the_consumer_does_not_hang(backend: str) -> None:
    with pytest.raises(ValueError, match="consumer"):
        for number in run(square, 500, backend):
            if number:
                raise ValueError("consumer")


def extraction(folder: Path, root: Path, clips: int, *changes: tuple[str, str]) -> list[str]:
    """Write clips, boxes and params for the stage `extract`; return its command, which lacks the output."""
    (folder / "raw").mkdir()
    video = numbered(folder / "clip.mp4", frames=20, sound_s=2.5).read_bytes()
    boxes = {}
    for label, intensity, statement, repetition in islice(
        product(("calm", "sad", "happy"), ("normal", "strong"), (1, 2), (1, 2)), clips
    ):
        stem = filenames.stem(Take(label, intensity, statement, repetition), "01")
        (folder / f"raw/{stem}.mp4").write_bytes(video)
        boxes[stem] = FaceBoxes(np.tile([160.0, 120.0, 100.0], (20, 1)), np.ones(20), np.zeros(20, bool))
    face_boxes.write(folder / "boxes.parquet", boxes, {})
    params = (root / "params.yaml").read_text()
    for pattern, value in changes:
        params, replaced = re.subn(pattern, value, params, flags=re.MULTILINE)
        assert replaced == 1
    (folder / "params.yaml").write_text(params)
    return [sys.executable, "-m", "stages.extract", "studio", "raw", "boxes.parquet"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_extraction_ends_when_its_file_is_refused(tmp_path: Path, root: Path, backend: str) -> None:
    """The workers were waited for at the end of Python, when they no longer exist."""
    command = extraction(tmp_path, root, 8, (r"^  backend: threading ", f"  backend: {backend} "))
    ended = subprocess.run(
        [*command, "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, 1 << 17)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (
        ended.returncode == 1 and "larger than a file may be here" in ended.stderr and not (tmp_path / "out").exists()
    )


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


@pytest.mark.parametrize("backend", BACKENDS)
def test_error_of_the_work_is_raised(backend: str) -> None:
    with pytest.raises(ValueError, match="three"):
        list(run(fail_at_three, 40, backend))


def test_absent_cluster_is_named() -> None:
    pytest.importorskip("ray", reason="needs the extra of that name")
    with pytest.raises(CfnsrError, match=r"parallel\.address: there is no cluster at 127\.0\.0\.1:1"):
        list(parallel.run(square, range(3), jobs=0, backend="ray", address="127.0.0.1:1"))


def test_missing_ray_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CfnsrError, match=r"pip install 'cfnsr\[ray\]'"):
        list(parallel.run(square, range(3), jobs=0, backend="ray", address="auto"))


def test_node_without_the_workspace_is_named(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"absent: is missing on \S+\. Share the folder with every machine"):
        parallel.work_in_workspace(str, 1, tmp_path / "absent")
    assert parallel.work_in_workspace(lambda name: Path(name).resolve(), "a", tmp_path) == tmp_path.resolve() / "a"


@contextmanager
def working(address: str, folder: Path, items: int) -> Iterator[subprocess.Popen[str]]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_work", address, str(folder), str(items)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def results_of(process: subprocess.Popen[str], count: int) -> list[tuple[int, str, int]]:
    """Ask for the next results, one by one: number, node, and how many items had begun by then."""
    assert process.stdin is not None and process.stdout is not None
    results = []
    while len(results) < count and (line := process.stdout.readline()):
        if match := re.fullmatch(r"done (\d+) (\w+) (\d+)\n", line):  # Ray prints lines of its own
            results.append((int(match[1]), match[2], int(match[3])))
            process.stdin.write("\n")
            process.stdin.flush()
    return results


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """A Ray cluster of two nodes; the last test loses one."""
    pytest.importorskip("ray", reason="needs the extra of that name")
    with two_nodes() as nodes:
        yield nodes


def test_extraction_on_a_cluster_writes_same_bytes(
    cluster: TwoNodes, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages import extract  # imports torch, which the processes of the other tests do without

    address = (r"^  address: auto ", f"  address: '{cluster.address}' ")
    changes = ((r"^  backend: threading ", "  backend: ray "), address)
    command = extraction(tmp_path, root, 2, *changes)
    environment = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run([*command, "on_ray"], cwd=tmp_path, env=environment, check=False).returncode == 0
    shutil.copy(root / "params.yaml", tmp_path)  # threads, in this process
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(extract.main, [*command[3:], "here"])
    assert result.exit_code == 0, result.output
    shards = [{path.name: path.read_bytes() for path in Path(name).iterdir()} for name in ("on_ray", "here")]
    assert shards[0] == shards[1] and len(shards[0]) == 4


def test_local_ray_listens_on_loopback_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra of that name")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # `local` asks for no cluster that is elsewhere
    with working("local", tmp_path / "begun", 2) as process:
        assert len(results_of(process, 1)) == 1
        assert listeners.addresses(process.pid) == {"127.0.0.1"}
        assert len(results_of(process, 1)) == 1
        process.communicate()


def test_order_is_kept_when_a_node_is_lost(cluster: TwoNodes, tmp_path: Path) -> None:
    with working(cluster.address, tmp_path / "begun", 32) as process:
        results = results_of(process, 8)
        while len({node for _, node, _ in results}) < 2 and len(results) < 20:  # a node may start late
            results += results_of(process, 1)
        assert len({node for _, node, _ in results}) == 2
        assert all(begun <= number + 4 for number, _, begun in results)
        cluster.lose_one()
        results += results_of(process, 32 - len(results))
    assert [number for number, _, _ in results] == [*range(32)]
    assert len({node for _, node, _ in results[-8:]}) == 1
