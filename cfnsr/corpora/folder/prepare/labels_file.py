"""The labels file: a CSV or Parquet file that states emotion and speaker of each video."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from cfnsr.errors import CfnsrError

_NAME = re.compile(r"[A-Za-z0-9_]+")


class Entry(NamedTuple):
    """One row; the fields are the file's columns.

    Attributes:
        file: the video's path within the folder of videos.
        label: the emotion.
        speaker: who shows it.
    """

    file: str
    label: str
    speaker: str


def md5(path: Path) -> str:
    """Return the file's md5, which names its content in params.yaml, where DVC sees it."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def read(path: Path) -> list[Entry]:
    """Read a labels file.

    Raises:
        CfnsrError: it cannot be read, lacks a column or a cell, names a clip twice, a path that leads out of the
            folder, or a speaker or label that is no plain name.
    """
    table = _read_table(path)
    entries: dict[str, Entry] = {}
    for number, cells in enumerate(zip(*(table[name] for name in Entry._fields), strict=True), start=1):
        if any(pd.isna(cell) or not str(cell).strip() for cell in cells):
            raise CfnsrError(path, f"row {number} has an empty cell", "Fill it, or drop the row")
        entry = Entry(*(str(cell).strip() for cell in cells))
        _check(path, entry)
        stem = PurePosixPath(entry.file).stem
        if stem in entries:
            problem = f"{entry.file} and {entries[stem].file} have one name"
            raise CfnsrError(path, problem, "Rename one: it names the clip in every table")
        entries[stem] = entry
    return list(entries.values())


def _read_table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:  # every word as it stands: None may be an emotion's name
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' and Arrow's are among them
        raise CfnsrError(path, f"cannot be read ({error})", "Give a CSV or Parquet file") from error
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in Entry._fields if name not in table]
    if missing:
        raise CfnsrError(path, f"lacks the column {', '.join(missing)}", f"It needs {', '.join(Entry._fields)}")
    if table.columns.has_duplicates:
        raise CfnsrError(path, "has a column twice", "Rename one")
    return table


def _check(path: Path, entry: Entry) -> None:
    video = PurePosixPath(entry.file)
    if video.is_absolute() or ".." in video.parts:
        raise CfnsrError(path, f"{entry.file} leads out of the folder", "Name files by their path within the folder")
    for column in ("speaker", "label"):
        name = getattr(entry, column)
        if not _NAME.fullmatch(name):
            raise CfnsrError(path, f"the {column} {name!r} of {entry.file}", "Use letters, digits and underscores")
