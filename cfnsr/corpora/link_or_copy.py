"""A file that the user has already, put where the pipeline looks for it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from dvc_objects.fs.system import hardlink, reflink

from cfnsr.corpora import disk


def place(source: Path, target: Path) -> None:
    """Link a file where the disk allows it, and copy it where it does not.

    A link that shares blocks until one side is written (reflink) comes first; then a hard link, whose file DVC
    makes read-only, as it then stands in the cache.
    """
    for link in (reflink, hardlink):
        with suppress(OSError, NotImplementedError):  # the latter where the platform has no such link
            link(str(source.resolve()), str(target))
            return
    with disk.room(target.parent, source.stat().st_size):
        shutil.copyfile(source, target)
