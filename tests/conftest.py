"""Fixtures that tests of all rooms share. Tensors are checked against the annotations of public functions."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Tests run side by side: two processes of two threads each on two cores are ten times slower than one of one.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.support import checker, small_studio
from tests.support.cluster import TwoNodes, two_nodes
from tests.support.repository import Repository

# How long an example takes depends on what else the machine does.
settings.register_profile("cfnsr", deadline=None)
settings.load_profile("cfnsr")
# Also where Python is told not to: to compile all tests takes eight seconds, in each process that collects them.
sys.dont_write_bytecode = False
install_import_hook("cfnsr", f"{checker.__name__}.check")

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all tests without a search for garbage, leave what they imported out of every later one, and search less.

    As often as Python does by itself, it took a tenth of the tests' time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that need a run of the pipeline first: the short ones then keep both workers busy to the end.

    Only the very first module needs the run of the real stages, so that one worker makes it while the other goes on.
    """
    fixtures: dict[Path, set[str]] = {}
    for item in items:
        fixtures.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))
    real = [path for path, names in fixtures.items() if "finished" in names]
    stubs = [path for path, names in fixtures.items() if "stubbed" in names and path not in real]
    first = [*real[:1], *stubs, *real[1:]]
    items.sort(key=lambda item: first.index(item.path) if item.path in first else len(first))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is made once a run of the tests, by whichever worker comes first."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / f"{name}.lock"):
        if not (shared / f"{name}-whole").exists():
            shutil.rmtree(shared / name, ignore_errors=True)  # of a worker that failed
            make(shared / name)
            (shared / f"{name}-whole").touch()
    return shared / name


def run_pipeline(folder: Path, *, stubs: bool) -> None:
    repository = Repository.shipped(folder, stubs=stubs)
    # The real stages two at a time, as `make repro` does; stubs are faster than what that takes to start.
    repository.run(*("dvc repro" if stubs else "cfnsr launch --jobs 2").split())
    repository.commit("run")
    repository.pack()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which the tiny pipeline has run; tests copy it, and leave it as it is."""
    return Repository(made_once(tmp_path_factory, "finished", lambda folder: run_pipeline(folder, stubs=False)))


@pytest.fixture(scope="session")
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The same with stubs in place of the stages, for tests of what DVC does; tests copy it, and leave it as it is."""
    return Repository(made_once(tmp_path_factory, "stubbed", lambda folder: run_pipeline(folder, stubs=True)))


@pytest.fixture(scope="session")
def studio_actor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one small actor of studio; tests leave it as it is."""
    return made_once(tmp_path_factory, "studio_actor", small_studio.make)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk needs privileges; test_failed_write_is_one_clear_line runs without")
    try:
        yield folder
    finally:  # lazily: an exception that a test holds may hold a file
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def cluster() -> Iterator[TwoNodes]:
    """A Ray cluster of two nodes."""
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="session")
def shop() -> Iterator[ThreadedMotoServer]:
    """A server of object storage."""
    from tests.support import store  # imports boto3, which the other tests do not need

    with store.served() as server:
        yield server
