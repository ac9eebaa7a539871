"""Write outputs completely or not at all, and delete those that params.yaml no longer lists.

An incomplete output would be used as a complete one, and writing through a link into DVC's cache would damage the
cached copy (docs/decisions/0003-atomic-outputs.md). So an output is written beside its path, flushed to the disk, and
then renamed.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from cfnsr.errors import CfnsrError

_PREFIX = ".partial-"
_FULL = ("No space left on device", "Not enough free space")  # of safetensors and numpy, which delete what they wrote
_ROOM = 64 * 1024  # bytes: a disk with less is full
_checks: list[Callable[[], None]] = []


@contextmanager
def checked(check: Callable[[], None]) -> Iterator[None]:
    """Call a check before every output of the context takes its place, and at the end of the context.

    Args:
        check: raises a ``CfnsrError`` if nothing may be written.
    """
    _checks.append(check)
    try:
        yield
        check()  # what is recorded of this process is read once it has ended
    finally:
        _checks.remove(check)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in ``path``'s folder. On success it replaces ``path``; on error it is deleted."""
    with _named(path):
        prefix = _delete_leftovers(path)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        partial = Path(name)
        try:
            with _full_disk_named(path):
                yield partial
            partial.chmod(0o644)  # mkstemp makes files that only their owner can read
            _check()
            _flush(partial)
            partial.replace(path)
            _flush(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``. On success it replaces ``path``; on error it is deleted."""
    with _named(path):
        partial = Path(tempfile.mkdtemp(prefix=_delete_leftovers(path), dir=path.parent))
        try:
            with _full_disk_named(path):
                yield partial
            partial.chmod(0o755)
            _check()
            for written in [*partial.rglob("*"), partial]:
                _flush(written)
            if path.exists():
                shutil.rmtree(path)
            partial.replace(path)
            _flush(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the output in the operating system's errors, which name no file or the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or _PREFIX in str(error.filename)):
            error.filename = str(path)
        raise


@contextmanager
def _full_disk_named(path: Path) -> Iterator[None]:
    """Raise the operating system's error of a full disk where a library raises one of its own."""
    try:
        yield
    except CfnsrError:
        raise
    except Exception as error:
        is_full = shutil.disk_usage(path.parent).free < _ROOM or any(text in str(error) for text in _FULL)
        if getattr(error, "errno", None) is None and is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def _check() -> None:
    for check in _checks:
        check()


def _flush(path: Path) -> None:
    """Have the disk store a file or a folder: after a power cut, a renamed file may else be full of zeros."""
    if os.name != "posix" and path.is_dir():  # Windows cannot
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system's error into a ``CfnsrError`` that names the file or folder to write."""
    try:
        yield
    except OSError as error:
        raise CfnsrError(path, f"cannot be written ({error.strerror})", "Give another path") from error


def _delete_leftovers(path: Path) -> str:
    """Delete incomplete outputs of killed runs; return the prefix of their names.

    If a process of a killed run still writes, it fails and cannot overwrite a later result.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{_PREFIX}{path.name}."
    for leftover in path.parent.iterdir():
        if leftover.name.startswith(prefix):
            _delete(leftover)
    return prefix


def prune(folder: Path, names: Collection[str]) -> list[Path]:
    """Delete outputs that params.yaml no longer lists; fail if a listed one is missing.

    DVC deletes nothing when a list of params.yaml shrinks, and hashes a folder that many stages write to as a whole.
    Old files would make the stages that read it stale, and a result could depend on earlier runs. So the stage that
    reads the folder prunes it. Hidden files stay, because stages that still run may be writing them.

    Args:
        folder: the folder that many stages write to.
        names: paths in it that params.yaml lists, for instance ``held_out/audio/fold_1``.

    Returns:
        The deleted paths; of a deleted folder, only its own path.

    Raises:
        CfnsrError: a listed path is missing.
    """
    for name in names:
        if not (folder / name).exists():
            raise CfnsrError(folder / name, "is missing", "Run `dvc repro`, which makes what is missing")
    listed = {folder / name for name in names}
    return _prune(folder, listed, {parent for path in listed for parent in path.parents})


def _prune(folder: Path, listed: set[Path], parents: set[Path]) -> list[Path]:
    deleted: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path in listed:
            continue
        if path in parents:
            deleted += _prune(path, listed, parents)
        else:
            _delete(path)
            deleted.append(path)
    return deleted


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
