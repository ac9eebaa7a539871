"""A disk without room."""

from __future__ import annotations

from pathlib import Path

import pytest

needs_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(),
    reason="only Linux has /dev/full, a device on which every write fails as on a full disk",
)
