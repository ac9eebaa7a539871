"""A repository of four small stages, in which launches are tested without torch: check, two of pretrain, one of train.

A file ``control/<stage>.hold`` keeps a stage running, ``control/<stage>.fail`` makes it fail; a stage that runs writes
``control/<stage>.pid``, and what it finds in CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
AUDIO, VIDEO, FUSED = "pretrain@audio", "pretrain@video", "train@fused"
STAGES = ("pretrain", "train")

DVC_YAML = """
stages:
  check:
    cmd: python stage.py check
    deps: [stage.py, input]
    outs: [out/check]
  pretrain:
    matrix: {name: [audio, video]}
    cmd: python stage.py pretrain-${item.name} out/check
    deps: [stage.py, out/check, "input-${item.name}"]
    outs: ["out/pretrain-${item.name}"]
  train:
    matrix: {name: [fused]}
    cmd: python stage.py train-${item.name} out/pretrain-audio out/pretrain-video
    deps: [stage.py, out/pretrain-audio, out/pretrain-video]
    outs: ["out/train-${item.name}"]
  combine: {matrix: {name: []}, cmd: none}
  ablate: {matrix: {name: []}, cmd: none}
  evaluate: {matrix: {name: []}, cmd: none}
  features: {matrix: {name: []}, cmd: none}
  probe: {matrix: {name: []}, cmd: none}
  sequence: {matrix: {name: []}, cmd: none}
  train_frozen: {matrix: {name: []}, cmd: none}
  fuse: {matrix: {name: []}, cmd: none}
"""
STAGE_PY = """
import os, sys, time
from pathlib import Path
from cfnsr.runtime import lifeline

lifeline.hold()
name, *inputs = sys.argv[1:]
control = Path("control")
(control / f"{name}.gpus").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
(control / f"{name}.pid").write_text(str(os.getpid()))
while (control / f"{name}.hold").exists():
    time.sleep(0.02)
if (control / f"{name}.fail").exists():
    sys.exit("Error: the test: asks for a failure. Delete the file")
Path("out").mkdir(exist_ok=True)
Path("out", name).write_text(name + "".join(Path(path).read_text() for path in inputs))
"""


class JobRepository:
    """A small repository under DVC.

    Attributes:
        folder: its root.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> JobRepository:
        """Create one in which check has run."""
        (folder / "control").mkdir(parents=True)
        (folder / "dvc.yaml").write_text(DVC_YAML)
        (folder / "stage.py").write_text(STAGE_PY)
        for name in ("input", "input-audio", "input-video"):
            (folder / name).write_text(name)
        shutil.copy(ROOT / "params.yaml", folder)
        repository = cls(folder)
        repository.dvc("init", "--no-scm", "--quiet")
        shutil.copy(ROOT / ".dvc/config", folder / ".dvc")
        repository.dvc("config", "core.no_scm", "true")
        repository.dvc("repro", "check")
        return repository

    def copy(self, folder: Path) -> JobRepository:
        """Copy it, its cache included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return JobRepository(folder)

    def dvc(self, *arguments: str) -> str:
        """Run DVC; return what it prints."""
        command = [sys.executable, "-m", "dvc", *arguments]
        process = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command there, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command there."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC", "GIT", "PYTEST"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "CUDA_VISIBLE_DEVICES": ""}

    def control(self, job: str, word: str) -> Path:
        """Return the file that holds a job, makes it fail, or is written by it."""
        return self.folder / "control" / f"{job.replace('@', '-')}.{word}"

    def is_running(self, job: str) -> bool:
        """Whether a job's stage has written its process id, and that process is alive."""
        path = self.control(job, "pid")
        pid = path.read_text() if path.exists() else ""  # empty while it is written
        return bool(pid) and alive(int(pid))

    def change(self, name: str) -> None:
        """Change an input, so that what reads it is stale."""
        (self.folder / name).write_text("changed")

    def lock(self) -> dict[str, Any]:
        """Read dvc.lock."""
        return YAML(typ="safe").load((self.folder / "dvc.lock").read_text())["stages"]

    def writers(self) -> set[int]:
        """Read which DVC processes lock their outputs, by process id."""
        lock = json.loads((self.folder / ".dvc/tmp/rwlock").read_text())
        return {entry["pid"] for entry in lock["write"].values()}

    def processes(self) -> list[psutil.Process]:
        """List the processes that run in the repository."""
        return [process for process in psutil.process_iter() if _folder(process) == self.folder]


def alive(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], object], limit_s: float = 120) -> None:
    """Wait until a condition holds; fail after a limit that only a broken test reaches."""
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.02)


def _folder(process: psutil.Process) -> Path | None:
    try:
        return Path(process.cwd()) if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:  # it ended, or belongs to another user
        return None
