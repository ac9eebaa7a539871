"""How much memory a part of a test takes at most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROCESS = Path("/proc/self")


@contextmanager
def at_most(megabytes: float) -> Iterator[None]:
    """Check that what is run within takes no more memory than this at any moment. On Linux."""
    (_PROCESS / "clear_refs").write_text("5")  # the peak is what is taken now
    before = _peak_mb()
    yield
    assert _peak_mb() - before <= megabytes


def _peak_mb() -> float:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", (_PROCESS / "status").read_text())
    return int(kilobytes) / 1024
