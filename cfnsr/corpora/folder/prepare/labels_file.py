"""The labels file: a CSV or Parquet file with emotion and speaker of each video."""

from __future__ import annotations

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
        speaker: the person in the video.
    """

    file: str
    label: str
    speaker: str


def read(path: Path) -> list[Entry]:
    """Read a labels file.

    Raises:
        CfnsrError: it cannot be read, lacks a column or a cell, lists a clip twice or a path outside the folder, or
            a speaker or label has other characters than letters, digits and underscores.
    """
    table = _read_table(path)
    entries: dict[str, Entry] = {}
    for number, cells in enumerate(zip(*(table[name] for name in Entry._fields), strict=True), start=1):
        if any(pd.isna(cell) or not str(cell).strip() for cell in cells):
            raise CfnsrError(path, f"row {number} has an empty cell", "Fill it, or remove the row")
        entry = Entry(*(str(cell).strip() for cell in cells))
        _check(path, entry)
        stem = PurePosixPath(entry.file).stem
        if stem in entries:
            problem = f"{entry.file} and {entries[stem].file} have the same name"
            raise CfnsrError(path, problem, "Rename one of them: the name identifies the clip")
        entries[stem] = entry
    return list(entries.values())


def _read_table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:  # no special values: None may be an emotion's name
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # including those of pandas and Arrow
        raise CfnsrError(path, f"cannot be read ({error})", "Give a CSV or Parquet file") from error
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in Entry._fields if name not in table]
    if missing:
        raise CfnsrError(path, f"lacks the column {', '.join(missing)}", f"It needs {', '.join(Entry._fields)}")
    if table.columns.has_duplicates:
        raise CfnsrError(path, "has a column twice", "Rename one of them")
    return table


def _check(path: Path, entry: Entry) -> None:
    video = PurePosixPath(entry.file)
    if video.is_absolute() or ".." in video.parts:
        raise CfnsrError(path, f"{entry.file} is outside the folder", "Give each file's path within the folder")
    for column in ("speaker", "label"):
        name = getattr(entry, column)
        if not _NAME.fullmatch(name):
            raise CfnsrError(path, f"{entry.file} has the {column} {name!r}", "Use letters, digits and underscores")
