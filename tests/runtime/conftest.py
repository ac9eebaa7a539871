from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support.jobs import JobRepository


@pytest.fixture(scope="session")
def job_repository(tmp_path_factory: pytest.TempPathFactory) -> JobRepository:
    """A small repository in which the jobs' input is ready: to be copied only."""
    return JobRepository.create(tmp_path_factory.mktemp("jobs") / "repository")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end this process and those that it starts: a shell lets its background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
