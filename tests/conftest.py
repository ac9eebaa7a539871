"""Every tensor that crosses a public signature in these tests is held against its annotation."""

from __future__ import annotations

import os
from pathlib import Path

# Tests run side by side: two processes of two threads each on two cores are ten times slower than one of one.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from jaxtyping import install_import_hook

from tests import checker

install_import_hook("cfnsr", f"{checker.__name__}.check")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
