"""One cell: a `dvc repro --single-item` in a process of its own, which can be ended without harm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from cfnsr.runtime import lifeline

_LOOK_EVERY_S = 0.2
_HERE = Path(sys.executable).parent  # whose Python the stages are to be run by
# Threads that wait are not to keep a core from those that work.
_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}


def run(cell: str, root: Path, log: Path, stopped: Callable[[], bool], *, lifelong: bool = True) -> int:
    """Run a cell to its end, or until it is stopped.

    Args:
        cell: its name in dvc.yaml.
        root: the repository's.
        log: where all that it prints goes.
        stopped: asked several times a second.
        lifelong: whether DVC may outlive this process, should that be killed; on Linux alone it can be held to it.

    Returns:
        DVC's exit status.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  a name from dvc.yaml, and no shell
            [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", cell],
            cwd=root,
            env={**os.environ, **_ENVIRONMENT, "PATH": f"{_HERE}{os.pathsep}{os.environ.get('PATH', '')}"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the terminal's Ctrl-C is for who launched it
            preexec_fn=None if lifelong else lifeline.die_with_parent,
        )
        try:
            return _ended(process, stopped)
        except BaseException:
            _ended(process, lambda: True)
            raise


def _ended(process: subprocess.Popen[bytes], stopped: Callable[[], bool]) -> int:
    """Wait for DVC; once stopped, end its stages.

    DVC itself is left to end in its own way: it writes dvc.lock in place, and a kill in that moment would cut it short.
    """
    while True:
        try:
            return process.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if stopped():
                _end_stages(process.pid)


def _end_stages(runner: int) -> None:
    try:
        for child in psutil.Process(runner).children(recursive=True):
            child.terminate()
    except psutil.NoSuchProcess:  # it ended while we looked
        return


def said(log: Path) -> list[str]:
    """The last words of a log that tell what went wrong."""
    if not log.exists():
        return []
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    errors = [line for line in lines if line.startswith(("Error:", "ERROR:"))]
    return errors or [line for line in lines if line][-3:]
