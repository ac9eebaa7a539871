"""Unpack chosen files of a zip archive; refuse names outside the folder, links and extreme sizes."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from cfnsr.corpora.link_or_copy import disk_space
from cfnsr.errors import CfnsrError

_LARGEST_RATIO = 200  # of sizes; a table of numbers has a ratio of about 10, a zip bomb of 1000
_REMEDY = "Delete it and fetch it again"


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive and check all of its names.

    Raises:
        CfnsrError: it is not a complete zip archive, or contains a name outside the folder, a link or an extreme size.
    """
    with _zip_errors(path):
        file = zipfile.ZipFile(path)
    with file:
        for entry in file.infolist():
            _check(path, entry)
        yield file


def read(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Read one file of an archive.

    Raises:
        CfnsrError: its bytes are damaged.
    """
    with _zip_errors(Path(str(file.filename))):
        return file.read(entry)


def choose(file: zipfile.ZipFile, is_needed: Callable[[str], bool]) -> dict[str, zipfile.ZipInfo]:
    """Return the files whose name, without folders, is needed; by name, sorted.

    Raises:
        CfnsrError: two of them have the same name.
    """
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in file.infolist():
        name = PurePosixPath(entry.filename).name
        if entry.is_dir() or not is_needed(name):
            continue
        if name in entries:
            raise CfnsrError(file.filename, f"contains {name} twice", _REMEDY)
        entries[name] = entry
    return dict(sorted(entries.items()))


def unpack(path: Path, folder: Path, is_needed: Callable[[str], bool]) -> list[Path]:
    """Write the needed files of an archive into a folder, without their own folders.

    Args:
        path: a zip file.
        folder: an existing folder.
        is_needed: whether to write the file of a name.

    Returns:
        The files written, sorted.

    Raises:
        CfnsrError: see ``open_archive`` and ``choose``; or the disk is full.
    """
    written = []
    with open_archive(path) as file:
        entries = choose(file, is_needed)
        with disk_space(folder, sum(entry.file_size for entry in entries.values())):
            for name, entry in entries.items():
                written.append(folder / name)
                with _zip_errors(path), file.open(entry) as source, written[-1].open("xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    return written


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    """Turn zipfile's errors about a bad archive into a ``CfnsrError``."""
    try:
        yield
    # zipfile raises a RuntimeError for an entry with a password, and for a compression that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise CfnsrError(path, f"is not a complete zip archive ({error})", _REMEDY) from error


def _check(archive: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise CfnsrError(archive, f"contains {name!r}, which is outside the folder", _REMEDY)
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise CfnsrError(archive, f"contains {name!r}, which is a link", _REMEDY)
    if entry.file_size > _LARGEST_RATIO * max(entry.compress_size, 1024):
        problem = f"contains {name!r}, {entry.file_size:,} bytes packed into {entry.compress_size:,}"
        raise CfnsrError(archive, problem, _REMEDY)
