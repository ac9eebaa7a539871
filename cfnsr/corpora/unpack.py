"""Chosen files of a zip archive, wherever it came from: no name leads out of the folder, no size out of bounds."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from cfnsr.corpora import disk
from cfnsr.errors import CfnsrError

# Video hardly shrinks, a table of numbers to a tenth or so; a bomb to a thousandth.
_LARGEST_RATIO = 200
_REMEDY = "Delete it, and fetch it again"


@contextmanager
def opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive, every one of its names proved harmless.

    Raises:
        CfnsrError: it is no whole zip archive, or has a name that leads elsewhere, a link, or a file of absurd size.
    """
    with _whole(archive):
        file = zipfile.ZipFile(archive)
    with file:
        for entry in file.infolist():
            _refuse_harm(archive, entry)
        yield file


@contextmanager
def _whole(archive: Path) -> Iterator[None]:
    """Around zipfile's own work: what it says of a bad archive becomes one clear line."""
    try:
        yield
    # NotImplementedError is zipfile's word for a compression that it does not know, RuntimeError for a password.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise CfnsrError(archive, f"is not a whole zip archive ({error})", _REMEDY) from error


def read(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """One file of an archive.

    Raises:
        CfnsrError: it is damaged.
    """
    with _whole(Path(file.filename or "")):
        return file.read(entry)


def chosen(file: zipfile.ZipFile, wanted: Callable[[str], bool]) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive whose name, without its folders, is wanted; by that name, in its order.

    Raises:
        CfnsrError: two of them have the same name.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in file.infolist():
        name = PurePosixPath(entry.filename).name
        if entry.is_dir() or not wanted(name):
            continue
        if name in found:
            raise CfnsrError(file.filename, f"holds {name} twice", _REMEDY)
        found[name] = entry
    return dict(sorted(found.items()))


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """Write the wanted files of an archive into a folder, without the folders they stand in.

    Args:
        archive: a zip file.
        folder: where to; it exists.
        wanted: whether a file of this name is.

    Raises:
        CfnsrError: see ``opened`` and ``chosen``; or the disk is full.
    """
    written = []
    with opened(archive) as file:
        entries = chosen(file, wanted)
        with disk.room(folder, sum(entry.file_size for entry in entries.values())):
            for name, entry in entries.items():
                written.append(folder / name)
                with _whole(archive), file.open(entry) as source, written[-1].open("xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    return written


def _refuse_harm(archive: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    if path.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise CfnsrError(archive, f"holds the name {name!r}, which leads out of its folder", _REMEDY)
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise CfnsrError(archive, f"holds {name!r}, which is a link", _REMEDY)
    if entry.file_size > _LARGEST_RATIO * max(entry.compress_size, 1024):
        raise CfnsrError(
            archive, f"holds {name!r}, {entry.file_size:,} bytes packed into {entry.compress_size:,}", _REMEDY
        )
