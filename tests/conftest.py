"""Every tensor that crosses a public signature in these tests is held against its annotation."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Tests run side by side: two processes of two threads each on two cores are ten times slower than one of one.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from filelock import FileLock
from jaxtyping import install_import_hook

from tests.support import checker
from tests.support.cluster import TwoNodes, two_nodes
from tests.support.repository import Repository

install_import_hook("cfnsr", f"{checker.__name__}.check")

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which the tiny pipeline has run once, unbroken. Made once for all workers: to be copied only."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / "finished.lock"):
        if not (shared / "finished-whole").exists():
            made = Repository.shipped(shared / "finished")
            made.run("dvc", "repro")
            made.commit("run")
            (shared / "finished-whole").touch()
    return Repository(shared / "finished")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk takes privileges; test_a_write_that_fails_for_want_of_room does without")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def cluster() -> Iterator[TwoNodes]:
    """A Ray cluster of two nodes."""
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def shop() -> Iterator[ThreadedMotoServer]:
    """Object storage."""
    from tests import store  # imports what speaks to it, for which the other tests need not wait

    with store.served() as server:
        yield server
