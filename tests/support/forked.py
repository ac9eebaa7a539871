"""A process that has imported DVC, and runs each command of DVC's in a fork of itself: the import is most of the time.

The fork is a process group of its own with the working directory, the environment and the output of one command, and
ends as ``dvc`` does. It runs the commands of stages that are stubs in forks of itself, and every other as DVC does.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import shlex
import subprocess
import sys
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

QUICK_LOCK = Path(__file__).with_name("quick_lock")
# What commands import when they need it.
_PRELOADED = """
    dvc.analytics dvc.api dvc.cachemgr dvc.compare dvc.data_cloud dvc.repo.experiments.run dvc.repo.reproduce
    dvc.repo.status dvc.stage.cache dvc.ui.table dvc.utils.strictyaml dvc_data.fs dvc_data.index dvc_render
    dulwich.porcelain dulwich.worktree hydra.core.override_parser.overrides_parser networkx omegaconf pygit2 pyparsing
    scmrepo.fs scmrepo.git tabulate wcwidth
"""
# What stubs import of other projects. Nothing of this one: its code is that of the folder in which a command runs.
_PRELOADED_FOR_STUBS = """
    annotated_types pandas pyarrow.parquet pydantic.dataclasses pydantic.functional_validators pydantic.main
    pydantic.plugin._loader pydantic.type_adapter yaml
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
    for module in f"{_PRELOADED} {_PRELOADED_FOR_STUBS}".split():
        import_module(module)
    gc.collect()
    gc.freeze()  # no fork searches, and so copies, what stands here
    for line in sys.stdin:
        command = json.loads(line)
        _parse(Path(command[1]))
        child = os.fork()
        if not child:
            _command(*command)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _parse(folder: Path) -> None:
    """Parse the files that every command reads, once for all forks: ``quick_lock`` keeps what it has parsed."""
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import _yaml

    for name in ("dvc.yaml", "params.yaml"):
        with suppress(OSError, DvcException):  # the command itself says what is wrong
            _yaml.parse_yaml((folder / name).read_text(encoding="utf-8"), name)


def _command(arguments: list[str], folder: str, environment: dict[str, str], printed: str) -> None:
    from dvc.cli import main
    from dvc.stage import run

    run_by_dvc = run._run

    def run_stage(executable: str | None, command: str, **options: Any) -> None:
        words = shlex.split(command)
        if _is_stub(Path(options["cwd"]), words):
            _run_stub(command, words, options)
        else:
            run_by_dvc(executable, command, **options)

    run._run = run_stage
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


def _is_stub(folder: Path, words: list[str]) -> bool:
    if words[:2] != ["python", "-m"] or not words[2].startswith("stages."):
        return False
    return "tests.support.stubs" in (folder / words[2].replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")


def _run_stub(command: str, words: list[str], options: dict[str, Any]) -> None:
    from dvc.stage.exceptions import StageCmdFailedError

    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or the fork prints it too
    child = os.fork()
    if not child:
        status = 1
        try:
            status = _stub(words[2], words[3:], options["cwd"], options["env"])
        finally:  # nothing of DVC's ends here
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise StageCmdFailedError(command, status)


def _stub(module: str, arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    """Run a stub as Python does, and return its exit status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    sys.argv = [module, *arguments]
    status: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        print(status, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return status if isinstance(status, int) else int(status is not None)


if __name__ == "__main__":
    _serve()
