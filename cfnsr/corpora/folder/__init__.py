"""Any folder of videos, with a sheet that says of each file which emotion it shows and who speaks."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cfnsr.corpora import VIDEOS, described
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.link_or_copy import place
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips

if TYPE_CHECKING:
    from cfnsr.corpora.source import Source

COLUMNS = ("file", "label", "speaker")
_OWN = "sheet.parquet"  # one speaker's rows, beside the clips
_NAME = re.compile(r"[A-Za-z0-9_]+")


def labels(*, labels: list[str], **_: object) -> list[str]:
    """The emotions as params.yaml lists them, in the order of their class index."""
    return labels


def expected(actor: str, **_: object) -> Counter[str] | None:
    """None: how many clips a speaker has, only the sheet knows."""
    return None


@dataclass(frozen=True)
class Row:
    """What the sheet says of a clip.

    Attributes:
        file: its path within the folder.
        label: the emotion.
        speaker: who shows it.
    """

    file: str
    label: str
    speaker: str


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """The clips of one speaker's folder, described by the sheet's rows."""
    rows = {row["file"]: row for row in pq.read_table(folder / _OWN).to_pylist()}

    def describe(path: Path) -> Clip:
        row = rows.get(path.name)
        if row is None:
            raise CfnsrError(path, "is a video that the sheet does not name", "Remove it, or run `dvc repro download`")
        return Clip(path.stem, path, row["speaker"], row["label"], intensity="", statement=0, repetition=0)

    return described(folder, bad, describe)


def prepare(
    actor: str,
    folder: Path,
    *,
    videos: str,
    sheet: str,
    sheet_md5: str,
    labels: list[str],
    source: Source,
    jobs: int,
) -> None:
    """Link or copy one speaker's videos, and OpenFace's CSV files where they lie beside them.

    Args:
        actor: the speaker, as the sheet names it.
        folder: where to.
        videos: the user's folder.
        sheet: CSV or Parquet; the columns ``file`` (its path within ``videos``), ``label``, ``speaker``.
        sheet_md5: of the sheet as it was taken into params.yaml.
        labels: the emotions there may be.
        source, jobs: have no use here.

    Raises:
        CfnsrError: the sheet cannot be read, lacks a column or the speaker, or names what is not there.
    """
    everyone = read(Path(sheet))
    if md5_of(Path(sheet)) != sheet_md5:
        raise CfnsrError(sheet, "has changed since it was taken in", "Run `cfnsr folder VIDEOS SHEET` again")
    rows = [row for row in everyone if row.speaker == actor]
    if not rows:
        raise CfnsrError(sheet, f"has no row of speaker {actor}", "Add the speaker's clips, or drop it from actors")
    for row in rows:
        if row.label not in labels:
            raise CfnsrError(
                sheet, f"{row.file} has the label {row.label!r}", f"corpora.folder.labels has {', '.join(labels)}"
            )
        path = Path(videos) / row.file
        if not path.is_file():
            raise CfnsrError(path, f"is not there, but {sheet} names it", "Put it there, or drop the row")
        if path.suffix.lower() not in VIDEOS:
            raise CfnsrError(path, "has no video's ending", f"Known are {' '.join(sorted(VIDEOS))}")
        place(path, folder / path.name)
        tracking = path.with_suffix(".csv")
        if tracking.is_file():
            place(tracking, folder / tracking.name)
    named = [asdict(row) | {"file": PurePosixPath(row.file).name} for row in rows]
    pq.write_table(pa.Table.from_pylist(sorted(named, key=itemgetter("file"))), folder / _OWN)


def md5_of(sheet: Path) -> str:
    """Names the sheet's content in params.yaml, where DVC sees it."""
    return hashlib.md5(sheet.read_bytes(), usedforsecurity=False).hexdigest()


def read(sheet: Path) -> list[Row]:
    """A sheet, row by row.

    Raises:
        CfnsrError: it cannot be read, lacks a column or a cell, names a clip twice, a path that leads out of the
            folder, or a speaker that can name no file.
    """
    try:
        if sheet.suffix == ".parquet":
            table = pd.read_parquet(sheet)
        else:  # every word as it stands: None may be an emotion's name
            table = pd.read_csv(sheet, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' and Arrow's are among them
        raise CfnsrError(sheet, f"cannot be read ({error})", "Give a CSV or Parquet file") from error
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise CfnsrError(sheet, f"lacks the column {', '.join(missing)}", f"It needs {', '.join(COLUMNS)}")
    if table.columns.has_duplicates:
        raise CfnsrError(sheet, "has a column twice", "Rename one")
    rows: dict[str, Row] = {}
    for number, cells in enumerate(zip(*(table[name] for name in COLUMNS), strict=True), start=1):
        if any(pd.isna(cell) or not str(cell).strip() for cell in cells):
            raise CfnsrError(sheet, f"row {number} has an empty cell", "Fill it, or drop the row")
        row = Row(*(str(cell).strip() for cell in cells))
        _refuse_unfit(sheet, row)
        stem = PurePosixPath(row.file).stem
        if stem in rows:
            raise CfnsrError(
                sheet, f"{row.file} and {rows[stem].file} have one name", "Rename one: it names the clip in every table"
            )
        rows[stem] = row
    return list(rows.values())


def _refuse_unfit(sheet: Path, row: Row) -> None:
    path = PurePosixPath(row.file)
    if path.is_absolute() or ".." in path.parts:
        raise CfnsrError(sheet, f"{row.file} leads out of the folder", "Name files by their path within the folder")
    for what, name in (("speaker", row.speaker), ("label", row.label)):
        if not _NAME.fullmatch(name):
            raise CfnsrError(sheet, f"the {what} {name!r} of {row.file}", "Use letters, digits and underscores")
