"""Compare the project's files that this process has loaded with what is on disk now.

DVC records the code after a stage has run. Edited while the stage runs, it would be recorded with a result of the old
code. Python loads modules late, so all files are read at the start (40 ms), and later those that were touched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

from cfnsr.errors import CfnsrError
from cfnsr.runtime.checksum import md5

_PACKAGES = ("cfnsr", "stages")
_BESIDE = {".css", ".csv", ".j2", ".js", ".json", ".tsv"}  # templates and tables that modules of a package read

# By name, not by path: a stage compares a hundred files each time that it writes one, and paths take twice as long.
_at_start: dict[str, tuple[Path, tuple[int, int, int], str]] = {}  # of each file, its path, its state and its md5
_beside: dict[str, list[str]] = {}  # of each package's __init__.py, the templates and tables beside it


def remember() -> None:
    """Remember the project's files as they are; called before a stage's script is imported."""
    for package in _PACKAGES:
        folder = Path(str(sys.modules[package].__file__)).parent
        for path in folder.rglob("*"):
            if path.suffix in {".py", *_BESIDE}:
                with suppress(FileNotFoundError):  # an editor's temporary file
                    _at_start[str(path)] = (path, state(path), md5(path))
                    if path.suffix == ".py":
                        _drop_old_copy(path)
                    else:
                        _beside.setdefault(str(path.with_name("__init__.py")), []).append(str(path))


def check_unchanged() -> None:
    """Compare what is loaded with what was remembered; without ``remember`` compare nothing.

    Raises:
        CfnsrError: a loaded file was edited, added or removed.
    """
    for file in _loaded() if _at_start else ():
        path, remembered, digest = _at_start.get(file) or (Path(file), None, None)
        try:
            unchanged = state(path) == remembered or md5(path) == digest
        except (FileNotFoundError, NotADirectoryError):
            unchanged = False
        if not unchanged:
            raise CfnsrError(path, "was edited while this stage ran", "Run the same command again")


def imported() -> Iterator[tuple[str, str]]:
    """Yield the name and file of each of the project's imported modules."""
    for name, module in list(sys.modules.items()):
        if name == "__main__":  # the running script; its spec has its own name
            name = getattr(getattr(module, "__spec__", None), "name", None) or ""
        if name.partition(".")[0] in _PACKAGES and (file := getattr(module, "__file__", None)):
            yield name, file


def _loaded() -> Iterator[str]:
    """Yield the files of imported modules, and the templates and tables beside imported packages."""
    for file in {file for _, file in imported()}:
        if file not in _at_start:
            file = str(Path(file))  # imported from a folder that was given as `./name`
        yield file
        yield from _beside.get(file, ())


def state(path: Path) -> tuple[int, int, int]:
    """Return by what an edit of a file is noticed without reading it: times of changes, in ns, and size in bytes."""
    stat = path.stat()
    # With the time of the last change of any kind, which `cp -p` and `touch` cannot set.
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size


def _drop_old_copy(path: Path) -> None:
    """Delete the compiled copy of a file if it is older than the file.

    Python compares whole seconds: it would load the old copy of a file that was edited twice within one.
    """
    copy = Path(cache_from_source(str(path)))
    with suppress(OSError):  # there is none; or nothing can be written here, nor edited
        if copy.stat().st_mtime_ns < path.stat().st_mtime_ns:
            copy.unlink()
