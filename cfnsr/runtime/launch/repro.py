"""Run one job: a `dvc repro --single-item` in a separate process that can be ended safely."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

import psutil

from cfnsr.runtime import lifeline
from cfnsr.runtime.launch import LOGS

_POLL_S = 0.1
_KILL_AFTER_S = 20  # of stages that SIGTERM does not end


def start(job: str, root: Path, *, die_with_parent: bool = False) -> subprocess.Popen[bytes]:
    """Start DVC on a job and write its output to the job's log.

    Args:
        job: name in dvc.yaml.
        root: of the repository.
        die_with_parent: on Linux, kill DVC when this process ends.
    """
    log = log_file(job, root)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603  a name from dvc.yaml, and no shell
            [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", job],
            cwd=root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the terminal's Ctrl-C is for the launcher
            preexec_fn=lifeline.die_with_parent if die_with_parent else None,
        )


def start_worker(root: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a DVC process that runs the jobs that are written to its standard input (``worker``).

    Args:
        root: of the repository.
        environment: variables to set.

    Returns:
        The process; its standard output is read without waiting.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True)
    worker = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "cfnsr.runtime.launch.worker", str(root)],
        cwd=root,
        env=_environment() | dict(environment),
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # as above
    )
    if worker.stdout is not None:
        os.set_blocking(worker.stdout.fileno(), False)
    return worker


def _environment() -> dict[str, str]:
    """Return the environment of DVC, in which the stages find this Python."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def end_stages(dvc: int, since_s: float) -> None:
    """End the stages that a DVC process runs; DVC then ends too.

    DVC itself is not killed: it writes dvc.lock in place, and a kill at that moment would leave the file incomplete.

    Args:
        dvc: its process id.
        since_s: when they were first asked to end, in seconds of the monotonic clock; after a while they are killed.
    """
    signal_sent = signal.SIGTERM if time.monotonic() - since_s < _KILL_AFTER_S else signal.SIGKILL
    try:
        for child in psutil.Process(dvc).children(recursive=True):
            child.send_signal(signal_sent)
    except psutil.NoSuchProcess:  # it has just ended
        return


def run(job: str, root: Path, *, die_with_parent: bool = False) -> int:
    """Run a job in a worker of a cluster and wait until it ends; an interrupt ends it.

    Returns:
        DVC's exit status.
    """
    process = start(job, root, die_with_parent=die_with_parent)
    try:
        while process.poll() is None:  # not `wait`: Ray's interrupt is not a signal and would not end it
            time.sleep(_POLL_S)
        return process.returncode
    except BaseException:
        since_s = time.monotonic()
        while process.poll() is None:
            with contextlib.suppress(KeyboardInterrupt):  # a second interrupt changes nothing
                end_stages(process.pid, since_s)
                time.sleep(_POLL_S)
        raise


def log_file(job: str, root: Path) -> Path:
    """Return the path of a job's log."""
    return root / LOGS / f"{job}.log"


def errors(job: str, root: Path) -> list[str]:
    """Read the error lines of a job's log; without any, its last three lines.

    DVC lists the processes that block an output below an error that ends in a colon: they are part of the error.
    """
    log = log_file(job, root)
    if not log.exists():
        return []
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    found: list[str] = []
    for number, line in enumerate(lines):
        if line.startswith(("Error:", "ERROR:")):
            listed = takewhile(bool, lines[number + 1 :]) if line.endswith(":") else ()
            found.append(" ".join([line, *listed]))
    return found or [line for line in lines if line][-3:]
