"""Outputs appear whole or not at all: written beside their place, then renamed into it.

A half-written output would be taken for a finished one, and writing through a link into DVC's
cache would corrupt the cached copy (docs/decisions/0003-atomic-outputs.md).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in ``path``'s folder; on success it replaces ``path``, on error it is removed."""
    prefix = _cleared(path)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)  # mkstemp makes files that only their owner can read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it takes ``path``'s place, on error it is removed."""
    partial = Path(tempfile.mkdtemp(prefix=_cleared(path), dir=path.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _cleared(path: Path) -> str:
    """Remove what killed runs left half written of ``path``; returns how such names begin.

    Should one of them still be running after all, it loses its ground and fails, and cannot overwrite what comes after.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".partial-{path.name}."
    for left in path.parent.iterdir():
        if left.name.startswith(prefix):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)
    return prefix
