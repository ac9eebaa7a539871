"""The checksum of arrays, by which the manifest knows a speaker's shard."""

from __future__ import annotations

import zlib

import numpy as np


class Checksum:
    """The CRC-32 of arrays, one after another: 0.15 s of one core for 1 GB, where md5 takes 1.2 s.

    It finds damage: every changed byte, and all but one of four billion other changes.
    """

    def __init__(self) -> None:
        self._value = 0

    def add(self, array: np.ndarray) -> None:
        """Add an array, or the next rows of one."""
        self._value = zlib.crc32(np.ascontiguousarray(array).data, self._value)

    def __str__(self) -> str:
        return f"{self._value:08x}"
