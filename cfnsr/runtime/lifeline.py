"""End a stage when the DVC process that runs it ends.

A killed `dvc repro` leaves its stage running. The stage would later overwrite the result of the next run
(docs/decisions/0003-atomic-outputs.md).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

import psutil

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_S = 0.1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def hold() -> None:
    """End this process when the DVC process that started it ends. Without DVC, do nothing.

    On Linux the kernel does it. A thread does it too, for other systems and if DVC starts the command in a shell.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None or os.name != "posix":
        return
    die_with_parent()
    runner = _runner(stage)
    if runner is None:
        _end()
    else:
        threading.Thread(target=_watch, args=(runner,), daemon=True, name="lifeline").start()


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends. Works on Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _runner(stage: str) -> psutil.Process | None:
    """Find the DVC process that runs a stage, the nearest ancestor outside the stage; None if it has ended."""
    try:
        process = psutil.Process().parent()
        while process is not None and _is_within(process, stage):
            process = process.parent()
        # DVC starts commands in its own process group; a process that adopts an orphan is in another group.
        return process if process is not None and os.getpgid(process.pid) == os.getpgrp() else None
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


def _is_within(process: psutil.Process, stage: str) -> bool:
    try:
        return process.environ().get("DVC_STAGE") == stage
    except psutil.AccessDenied:  # another user's process, which is not part of the stage
        return False


def _watch(runner: psutil.Process) -> None:
    while runner.is_running() and runner.status() != psutil.STATUS_ZOMBIE:
        time.sleep(_POLL_S)
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
