from __future__ import annotations

import pytest

from tests.support.jobs import JobRepository


@pytest.fixture(scope="session")
def job_repository(tmp_path_factory: pytest.TempPathFactory) -> JobRepository:
    """A small repository in which the jobs' input is ready: to be copied only."""
    return JobRepository.create(tmp_path_factory.mktemp("jobs") / "repository")
