"""Checksums of files and arrays, hexadecimal."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def md5(path: Path) -> str:
    """Return the md5 of a file. It identifies a file, and protects against damage but not against an attacker."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Checksum:
    """The CRC-32 of arrays, one after another: 0.15 s of one core for 1 GB, where md5 takes 1.2 s.

    It finds damage: every changed byte, and all but one of four billion other changes.
    """

    def __init__(self) -> None:
        self._value = 0

    def add(self, array: np.ndarray) -> None:
        """Add an array, or the next rows of one."""
        import numpy as np  # here: commands that compare files alone start without it

        self._value = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, self._value)

    def __str__(self) -> str:
        return f"{self._value:08x}"


def of_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Return the checksum of some arrays, in this order."""
    checksum = Checksum()
    for array in arrays:
        checksum.add(array)
    return str(checksum)
