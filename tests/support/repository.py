"""A copy of the working tree under git and DVC, which tests may change."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import click
import psutil
from click.testing import CliRunner
from ruamel.yaml import YAML

from tests.support.forked import QUICK_LOCK, forks
from tests.support.holds import Hold

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "tests/support/stubs"
# Of the working tree: copies take seconds.
_LEFT_OUT = re.compile(r"metrics/|dvc\.lock$|docs/decisions/|tests/(?!__init__|conftest|pipeline/|support/)")
_STAGES: dict[bytes, list[str]] = {}  # by the md5 of the two files that decide them: listing them takes DVC a second

# Every stage's command, one after another in one process: `dvc repro` would write its lock a hundred times.
_RUN_ALL = """
import runpy
import shlex
import sys

from dvc.repo import Repo

with Repo() as repository:
    commands = [shlex.split(stage.cmd) for stage in repository.index.stages]
for _, _, module, *arguments in commands:
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


class Repository:
    """A git repository with DVC in it.

    Attributes:
        folder: its root.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def shipped(cls, folder: Path, *, stubs: bool = False) -> Repository:
        """Copy the working tree without its results and tests, at tiny scale, and commit it.

        Args:
            folder: of the copy.
            stubs: whether the stages' scripts are replaced by those of ``tests.support.stubs``.
        """
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file() and not _LEFT_OUT.match(name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        repository = cls(folder)
        if stubs:
            repository.use_stubs()
        repository.run("git", "init", "-q", "-b", "main", "--template=")
        repository.run("cfnsr", "preset", "tiny")
        repository.commit("as shipped, tiny")
        return repository

    def use_stubs(self) -> None:
        """Replace the script of each stage by its stub."""
        for stub in STUBS.glob("*.py"):
            if stub.name not in {"__init__.py", "payload.py"}:
                shutil.copy2(stub, self.folder / "stages" / stub.name)

    def hold(self, stage: str, number: int = 0, moment: Literal["start", "half"] = "half") -> Hold:
        """Hold the next stub of a stage at a moment: at its start, or with half of an output written."""
        return Hold(self.holds, stage, number, moment)

    @property
    def holds(self) -> Path:
        """Where the holds of this repository's stubs lie: beside it, so that experiments elsewhere find it too."""
        return self.folder.with_name(f"{self.folder.name}.holds")

    def copy(self, folder: Path) -> Repository:
        """Copy the repository, its cache included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return type(self)(folder)

    def clone(self, folder: Path) -> Repository:
        """Clone the repository: what is committed, no data and no cache."""
        self.run("git", "clone", "-q", ".", str(folder))
        return Repository(folder)

    def pack(self) -> None:
        """Have git keep its objects in one file, so that copies of the repository have a third fewer files."""
        self.run("git", "gc", "--quiet")

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its commands: this Python, this repository's code, no settings of the user's."""
        bin_folder = str(Path(sys.executable).parent)
        # Nor what keeps Python from writing compiled files: each stage would compile the copied code again.
        left_out = ("DVC", "GIT", "PYTEST", "PYTHONDONTWRITEBYTECODE")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return inherited | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@localhost",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@localhost",
            "PYTHONPATH": f"{self.folder}{os.pathsep}{QUICK_LOCK}",
            "STUB_HOLDS": str(self.holds),
            "DVC_GLOBAL_CONFIG_DIR": str(self.folder / ".git" / "dvc-global"),
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the repository, in a process group of its own; its output goes to ``stdout``."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command in the repository, check its exit status, and return what it printed."""
        process = self.start(*command)
        printed, _ = process.communicate()
        assert process.returncode == status, f"{command} ended with {process.returncode}:\n{printed}"
        return printed

    def dvc(self, *arguments: str, status: int = 0) -> str:
        """Run a command of DVC's as :meth:`run` does; on Linux in a fork of a process that has imported DVC already."""
        if sys.platform != "linux":  # Windows has no forks, and on macOS libraries fail in them
            return self.run("dvc", *arguments, status=status)
        ended_with, printed = forks().run(arguments, self.folder, self.environment)
        assert ended_with == status, f"dvc {shlex.join(arguments)} ended with {ended_with}:\n{printed}"
        return printed

    def cli(self, *arguments: str, status: int | None = 0, **environment: str) -> str:
        """Run a command of ``cfnsr`` in this process, as in the repository.

        Args:
            arguments: of the command line.
            status: the exit status that it must have; any if none.
            environment: more variables.

        Returns:
            What it printed.
        """
        from cfnsr import cli  # not before conftest.py has annotations checked

        return self._invoke(cli.main, arguments, status, environment)

    def stage(self, command: str, status: int = 0) -> str:
        """Run a stage's command, ``python -m stages.crop ...``, in this process and without DVC."""
        name, *arguments = shlex.split(command.removeprefix("python -m stages."))
        return self._invoke(import_module(f"stages.{name}").main, arguments, status, {})

    def _invoke(
        self, command: click.Command, arguments: Sequence[str], status: int | None, environment: dict[str, str]
    ) -> str:
        with chdir(self.folder):
            # no stage of DVC's: `DVC_STAGE` unset
            result = CliRunner(env={"DVC_STAGE": None, "COLUMNS": "200", **environment}).invoke(command, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert status in {None, result.exit_code}, f"{arguments} ended with {result.exit_code}:\n{result.output}"
        return result.output

    def repro(self, *arguments: str) -> list[str]:
        """Run ``dvc repro``, and return the stages that ran, in their order, without `params`: any edit runs that."""
        ran = re.findall(r"^Running stage '(.+)':", self.dvc("repro", *arguments), re.MULTILINE)
        return [stage for stage in ran if stage != "params"]

    def run_all(self) -> None:
        """Run the command of every stage in one process, and have DVC take the outputs as they are."""
        self.run("python", "-c", _RUN_ALL)
        self.dvc("commit", "-f")

    def edit(self, old: str, new: str, name: str = "params.yaml") -> None:
        """Replace a text that a file contains once."""
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
        path.write_text(text.replace(old, new))

    def list_rows(self, **lists: list[str]) -> None:
        """Replace lists of the section ``run`` in params.yaml."""
        path = self.folder / "params.yaml"
        head, run = path.read_text().split("\nrun:\n")
        for key, names in lists.items():
            lines = "".join(f"\n    - {name}" for name in names) or " []"
            run, count = re.subn(rf"(?m)^  {key}:.*(\n    - .*)*", f"  {key}:{lines}", run, count=1)
            assert count == 1, key
        path.write_text(f"{head}\nrun:\n{run}")

    @property
    def stages(self) -> list[str]:
        """The stages of dvc.yaml, one for each combination of its matrix."""
        digest = hashlib.md5(b"".join((self.folder / name).read_bytes() for name in ("dvc.yaml", "params.yaml")))
        if digest.digest() not in _STAGES:
            _STAGES[digest.digest()] = self.dvc("stage", "list", "--name-only").split()
        return [*_STAGES[digest.digest()]]

    @property
    def lock(self) -> bytes:
        """The content of ``dvc.lock``."""
        return (self.folder / "dvc.lock").read_bytes()

    def entries(self) -> dict[str, Any]:
        """Read the entry of each stage in ``dvc.lock``."""
        known = self.known_entries()
        return {name: known[name] for name in self.stages}

    def known_entries(self) -> dict[str, Any]:
        """Read what ``dvc.lock`` holds, the entries of stages that are no longer listed included."""
        return YAML(typ="safe").load(self.lock.decode())["stages"]

    def results(self) -> dict[str, bytes]:
        """Read every file under ``metrics``."""
        folder = self.folder / "metrics"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def corrupt(self) -> list[str]:
        """List the objects of DVC's cache whose content is not what their name says."""
        objects = [path for path in (self.folder / ".dvc/cache/files/md5").glob("??/*") if path.is_file()]
        assert objects
        return [
            path.name
            for path in objects
            if hashlib.md5(path.read_bytes()).hexdigest() != (path.parent.name + path.name).removesuffix(".dir")
        ]

    def working(self) -> dict[psutil.Process, str]:
        """Find the processes of stages in this repository, and the stage of each."""
        stages = {}
        for process in psutil.process_iter():
            try:
                named = [part.removeprefix("stages.") for part in process.cmdline()[1:3] if part.startswith("stages.")]
                if named and Path(process.cwd()) == self.folder:
                    stages[process] = named[0]
            except psutil.Error:  # it has ended, or is another user's
                continue
        return stages
