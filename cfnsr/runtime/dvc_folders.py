"""Find out, before any work, whether DVC can work where the repository lies, and write what a run writes."""

from __future__ import annotations

import errno
import getpass
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime import dvc_repository

_ROOM = b"\0" * 64 * 1024  # a disk that does not take this much is full
_FOLDERS = ("", ".dvc", ".dvc/tmp", "data", "data/logs", "metrics")  # of the repository; DVC and the stages write there
_FILES = ("dvc.lock", "params.yaml", ".dvc/tmp/lock", ".dvc/tmp/rwlock")  # written in place


def check(root: Path, entries: Mapping[str, Any]) -> list[str]:
    """Check that `dvc repro` can run here.

    Args:
        root: of the repository.
        entries: of dvc.lock, by stage.

    Returns:
        What does not work here though `dvc repro` does: one line each, with what to do.

    Raises:
        CfnsrError: DVC cannot work here.
        OSError: a file or folder of the repository cannot be written.
    """
    if not (root / ".dvc").is_dir():
        remedy = "Copy the repository's hidden files too (.dvc, .dvcignore), or clone it with git"
        raise CfnsrError(root.absolute(), "has no folder .dvc, so DVC does not work here", remedy)
    for folder in _FOLDERS:
        if folder in ("data", "metrics") and not (root / folder).resolve().is_relative_to(root.resolve()):
            problem = "leads outside the repository, where DVC writes no output"
            raise CfnsrError(root / folder, problem, "Put the repository on the other disk, or use `mount --bind`")
        _write(root / folder)
    _check_rights((root / name for name in _FILES), Path.is_file)
    _check_rights(_folders_of(root, entries), Path.is_dir)
    _check_user()
    with _advised("no temporary file can be written", "Set TMPDIR to a folder with free space that you can write to"):
        _write(Path(tempfile.gettempdir()))
    with _advised("DVC cannot write there", "Set DVC_SITE_CACHE_DIR to a folder that you can write to"):
        _write(dvc_repository.site_cache_folder(root))
    cache = dvc_repository.cache_folder(root)
    remedy = "Have its owner share it (docs/sharing.md), or use one of your own: `dvc cache dir --local .dvc/cache`"
    with _advised("DVC cannot write its cache", remedy):
        _write(cache)
        folders = (cache, cache.parents[1] / "runs")
        _check_rights((path for folder in folders for path in (folder, *folder.glob("??"))), Path.is_dir)
    return [*_notes(root, cache)]


def _write(folder: Path) -> None:
    """Write a temporary file where a folder is or will be, and have the disk take it."""
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(_ROOM)
            file.flush()
    except OSError as error:
        error.filename = str(existing)  # not that of the temporary file
        raise


def _folders_of(root: Path, entries: Mapping[str, Any]) -> Iterable[Path]:
    """List the folders that hold the stages' outputs, and the outputs, some of which are folders."""
    paths = dict.fromkeys(Path(out["path"]) for stage in entries.values() for out in stage.get("outs", []))
    return (root / path for path in dict.fromkeys([*(path.parent for path in paths), *paths]))


def _check_rights(paths: Iterable[Path], is_kind: Callable[[Path], bool]) -> None:
    """Check that those of the paths that are of a kind, files or folders, can be written."""
    for path in paths:
        if not os.access(path, os.W_OK) and is_kind(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _check_user() -> None:
    """Check that the user has a name, which DVC asks for; in a container a number may have none."""
    try:
        getpass.getuser()
    except (KeyError, OSError) as error:
        problem = f"user {os.getuid()} has no name, which DVC needs"
        raise CfnsrError("this machine", problem, "Set LOGNAME to any name: `export LOGNAME=me`") from error


@contextmanager
def _advised(problem: str, remedy: str) -> Iterator[None]:
    """Say what to do about a folder outside the repository that cannot be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CfnsrError(error.filename or "this machine", f"{problem} ({reason})", remedy) from error


def _notes(root: Path, cache: Path) -> Iterator[str]:
    """List what of DVC's fails here: experiments outside the workspace, which it runs in a clone of the repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--is-shallow-repository"],  # noqa: S607
            cwd=root,
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            text=True,
        )
        is_shallow = answer.stdout.strip() == "true"
        is_of_another = "dubious ownership" in answer.stderr
    except FileNotFoundError:  # no git: DVC has its own
        is_shallow, is_of_another = (root / ".git/shallow").exists(), False
    if is_shallow:
        yield "a shallow clone: `dvc exp run --temp` and `--queue` lose their results until `git fetch --unshallow`"
    if is_of_another:
        yield (
            "the git repository belongs to another user: `dvc exp` ends in an error until "
            f"`git config --global --add safe.directory {shlex.quote(str(root.absolute()))}`"
        )
    if not str(folder := cache.parents[1]).isascii():
        yield (
            f"the path of DVC's cache is not ASCII ({folder}): `dvc exp run --temp` and `--queue` end in an error. "
            "`dvc cache dir --local` gives it another"
        )
