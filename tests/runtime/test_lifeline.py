"""A process that DVC started ends when DVC does; the parent here stands for DVC."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="lifeline does nothing on Windows: it has no process groups, by which DVC is recognised"
)

HOLD = "import sys, time; from cfnsr.runtime import lifeline; lifeline.hold(); print('holding', flush=True); "
SLEEP = HOLD + "time.sleep(60)"
# A thread that never releases Python's lock: the watching thread cannot run.
BUSY = HOLD + "sys.setswitchinterval(1000); [0 for _ in iter(int, 1)]"
LAUNCH = """
import os, subprocess, sys
environment = {**os.environ, "LAUNCHER": str(os.getpid())}
print(subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment, stdout=subprocess.DEVNULL).pid, flush=True)
"""
ORPHAN = """
import os, time
while os.getppid() == int(os.environ["LAUNCHER"]):
    time.sleep(0.01)
"""
PARENT = """
import os, subprocess, sys
command, shell = sys.argv[1], sys.argv[2] == "shell"
environment = {**os.environ, "DVC_STAGE": "crop@studio-01"}
arguments = ["/bin/sh", "-c", f'"{sys.executable}" -c "{command}"; true'] if shell else [sys.executable, "-c", command]
print(subprocess.Popen(arguments, env=environment).pid, flush=True)
input()
"""


def ended(pid: int, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def started(root: Path, how: str, child: str = SLEEP) -> tuple[subprocess.Popen[str], int]:
    """Start a parent and a child that is to end with it; return the parent and the child's process id."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child, how],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline().strip() == "holding"
    if how == "shell":
        (pid,) = (child.pid for child in psutil.Process(pid).children())
    return parent, pid


def kill(parent: subprocess.Popen[str]) -> None:
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for pipe in (parent.stdin, parent.stdout):
        assert pipe is not None
        pipe.close()


@pytest.mark.parametrize("how", ["direct", "shell"])
def test_a_stage_ends_with_its_dvc(root: Path, how: str) -> None:
    parent, child = started(root, how)
    assert psutil.Process(child).status() != psutil.STATUS_ZOMBIE
    kill(parent)
    assert ended(child, within_s=2)


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="only Linux's kernel ends a process with its parent; elsewhere a thread does, which a busy stage delays",
)
def test_the_kernel_ends_a_busy_stage(root: Path) -> None:
    parent, child = started(root, "direct", BUSY)
    kill(parent)
    assert ended(child, within_s=2)


def test_a_stage_without_its_dvc_ends_at_once(root: Path) -> None:
    """Its DVC ended, and another process adopted the stage, before its first line of Python ran."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, ORPHAN + SLEEP],
        cwd=root,
        env={**os.environ, "DVC_STAGE": "crop@studio-01"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert ended(int(done.stdout), within_s=3)


def test_without_dvc_no_thread_is_started(root: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    script = "from cfnsr.runtime import lifeline; lifeline.hold(); import threading; print(threading.active_count())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
