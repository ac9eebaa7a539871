"""Checksums of files, hexadecimal."""

from __future__ import annotations

import hashlib
from pathlib import Path


def md5(path: Path) -> str:
    """Return the md5 of a file. It identifies a file, and protects against damage but not against an attacker."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
