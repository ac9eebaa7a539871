"""Unpack chosen files of a zip archive; refuse names that lead out of the folder, links and absurd sizes."""

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

# Video hardly shrinks, a table of numbers to a tenth or so; a zip bomb to a thousandth.
_LARGEST_RATIO = 200
_REMEDY = "Delete it, and fetch it again"


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive and check all of its names.

    Raises:
        CfnsrError: it is no whole zip archive, or has a name that leads elsewhere, a link, or a file of absurd size.
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
    """Return the files whose name, without folders, is needed; by that name, sorted.

    Raises:
        CfnsrError: two of them have the same name.
    """
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in file.infolist():
        name = PurePosixPath(entry.filename).name
        if entry.is_dir() or not is_needed(name):
            continue
        if name in entries:
            raise CfnsrError(file.filename, f"holds {name} twice", _REMEDY)
        entries[name] = entry
    return dict(sorted(entries.items()))


def unpack(path: Path, folder: Path, is_needed: Callable[[str], bool]) -> list[Path]:
    """Write the needed files of an archive into a folder, without their own folders.

    Args:
        path: a zip file.
        folder: where to; it exists.
        is_needed: whether the file of a name is written.

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
    """Turn zipfile's errors about a bad archive into one clear line."""
    try:
        yield
    # NotImplementedError is zipfile's word for a compression that it does not know, RuntimeError for a password.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise CfnsrError(path, f"is not a whole zip archive ({error})", _REMEDY) from error


def _check(archive: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise CfnsrError(archive, f"holds the name {name!r}, which leads out of its folder", _REMEDY)
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise CfnsrError(archive, f"holds {name!r}, which is a link", _REMEDY)
    if entry.file_size > _LARGEST_RATIO * max(entry.compress_size, 1024):
        problem = f"holds {name!r}, {entry.file_size:,} bytes packed into {entry.compress_size:,}"
        raise CfnsrError(archive, problem, _REMEDY)
