"""A process that has imported DVC, and runs each command of DVC's in a fork of itself: the import is most of the time.

The fork is a process group of its own with the working directory, the environment and the output of one command, and
ends as ``dvc`` does.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

QUICK_LOCK = Path(__file__).with_name("quick_lock")
# What commands import when they need it.
_PRELOADED = """
    dvc.analytics dvc.api dvc.cachemgr dvc.compare dvc.data_cloud dvc.repo.experiments.run dvc.repo.reproduce
    dvc.repo.status dvc.stage.cache dvc.ui.table dvc.utils.strictyaml dvc_data.fs dvc_data.index dvc_render
    dulwich.porcelain dulwich.worktree hydra.core.override_parser.overrides_parser networkx omegaconf pygit2 pyparsing
    scmrepo.fs scmrepo.git tabulate wcwidth
"""


class Forks:
    """The process, which ends with this one."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__))],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._folder = TemporaryDirectory()
        atexit.register(self._end)

    def _end(self) -> None:
        self._server.communicate()
        self._folder.cleanup()

    def run(self, arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
        """Run a command of DVC's.

        Args:
            arguments: of the command.
            folder: in which it runs.
            environment: all of its variables.

        Returns:
            Its exit status, and what it printed.
        """
        printed = Path(self._folder.name) / "printed"
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin and stdout
        print(json.dumps([arguments, str(folder), environment, str(printed)]), file=stdin, flush=True)
        return int(stdout.readline()), printed.read_text()


@cache
def forks() -> Forks:
    """Start the process, once."""
    return Forks(os.environ | {"PYTHONPATH": str(QUICK_LOCK)})


def _serve() -> None:
    from importlib import import_module

    from dvc.cli import parse_args

    parse_args(["status"])  # imports all commands
    for module in _PRELOADED.split():
        import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _command(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _command(arguments: list[str], folder: str, environment: dict[str, str], printed: str) -> None:
    from dvc.cli import main

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["dvc", *arguments]
    sys.exit(main(arguments))


if __name__ == "__main__":
    _serve()
