"""Limits of the demo's recordings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of the demo's recordings.

    Attributes:
        max_mb: largest size in megabytes (10**6 bytes).
        max_minutes: longest duration in minutes.
    """

    max_mb: float
    max_minutes: float

    @property
    def max_bytes(self) -> int:
        """Return the largest size in bytes."""
        return round(self.max_mb * 1e6)
