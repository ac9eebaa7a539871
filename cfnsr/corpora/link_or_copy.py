"""Link or copy a file of the user into the pipeline, and report a full disk in one line."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dvc_objects.fs.system import hardlink, reflink

from cfnsr.errors import CfnsrError


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file if the disk allows it, or else copy it.

    A reflink, which shares blocks until either file is written, is tried first, then a hard link. DVC makes a
    hard-linked file read-only, because the file is then in its cache.
    """
    for link in (reflink, hardlink):
        with suppress(OSError):  # this disk or platform has no such link, or source and target are on two disks
            link(str(source.resolve()), str(target))
            return
    with disk_space(target.parent, source.stat().st_size):
        shutil.copyfile(source, target)


@contextmanager
def disk_space(folder: Path, needed: int) -> Iterator[None]:
    """Check that a folder's disk has room for ``needed`` bytes, before and while they are written.

    Raises:
        CfnsrError: the disk is full.
    """
    if shutil.disk_usage(folder).free < needed:
        raise _full(folder, needed)
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _full(folder, needed) from error


def _full(folder: Path, needed: int) -> CfnsrError:
    free = shutil.disk_usage(folder).free
    return CfnsrError(
        folder,
        f"the disk is full: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free",
        "Free some space and run the command again: it resumes where it stopped",
    )
