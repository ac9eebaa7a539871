"""How much the demo takes at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much the demo takes at a time.

    Attributes:
        most_mb: size of a recording in megabytes.
        most_minutes: length of a recording.
    """

    most_mb: float
    most_minutes: float

    @property
    def most_bytes(self) -> int:
        """Return the size in bytes."""
        return round(self.most_mb * 1e6)

    @property
    def most_work_s(self) -> float:
        """Return how long the work on a recording may take: ten times what docs/predict.md has measured."""
        return 60 + 4 * 60 * self.most_minutes
