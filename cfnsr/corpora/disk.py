"""A disk without room, told in one line."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cfnsr.errors import CfnsrError


@contextmanager
def room(folder: Path, wanted: int) -> Iterator[None]:
    """Around writing ``wanted`` bytes into a folder.

    Raises:
        CfnsrError: there is no room for them, before or meanwhile.
    """
    if shutil.disk_usage(folder).free < wanted:
        raise _full(folder, wanted)
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _full(folder, wanted) from error


def _full(folder: Path, wanted: int) -> CfnsrError:
    free = shutil.disk_usage(folder).free
    return CfnsrError(
        folder,
        f"the disk is full: {wanted / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free",
        "Make room and run the command again: it goes on where it stopped",
    )
