"""Link or copy a file of the user into the pipeline, and report a full disk in one line."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dvc_objects.fs.system import hardlink, reflink

from cfnsr.errors import CfnsrError


def link_or_copy(source: Path, target: Path, *, hard_link: bool = False) -> None:
    """Share a file's blocks until either file is written (a reflink), or else copy it.

    Args:
        source, target: the user's file and the new one.
        hard_link: make a hard link before copying. The user's file is then a file of DVC's cache: DVC makes it
            read-only, and who writes to it all the same, as root can, damages the cache.
    """
    for link in (reflink, hardlink) if hard_link else (reflink,):
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
