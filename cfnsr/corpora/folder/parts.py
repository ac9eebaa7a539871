"""Read which part of a file a row of the labels file means, and which face in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from cfnsr.corpora.clip import FACES
from cfnsr.corpora.folder.problems import Problems
from cfnsr.corpora.folder.sheet import Row


@dataclass(frozen=True)
class Part:
    """A part of a file.

    Attributes:
        start_s: in seconds from the file's first frame or sample.
        end_s: as ``start_s``; None where the file ends.
        face: one of ``FACES``.
    """

    start_s: float = 0.0
    end_s: float | None = None
    face: str = FACES[0]

    def suffix(self) -> str:
        """Return what tells the clips of one file apart, for their ids: its start in milliseconds, and the face."""
        face = f"_{self.face}" if self.face != FACES[0] else ""
        return f"_{round(1000 * self.start_s):07d}{face}"


def read(rows: Iterable[Row], problems: Problems) -> list[Part]:
    """Read the columns ``start_s``, ``end_s`` and ``face`` of each row.

    Args:
        rows: of the labels file.
        problems: cells that are no seconds or name no face, and parts that end before they start.
    """
    return [_part(row, problems) for row in rows]


def _part(row: Row, problems: Problems) -> Part:
    start_s = _seconds(row, "start_s", problems) or 0.0
    end_s = _seconds(row, "end_s", problems)
    if end_s is not None and end_s <= start_s:
        problem = f"line {row.line}, {start_s:g} to {end_s:g}"
        problems.add("parts that end before they start", problem, "Write both in seconds from the file's start")
    face = row.cells.get("face", "").casefold() or FACES[0]
    if face not in FACES:
        problems.add("faces of no known kind", f"line {row.line}, {face!r}", f"Write {', '.join(FACES)}, or nothing")
    return Part(start_s, end_s, face)


def _seconds(row: Row, column: str, problems: Problems) -> float | None:
    cell = row.cells.get(column, "")
    if not cell:
        return None
    try:
        # Programs of many countries write a comma.
        seconds = float(cell.replace(",", "."))
    except ValueError:
        seconds = -1.0
    if not isfinite(seconds) or seconds < 0:
        problems.add("cells that are no seconds", f"line {row.line}, {column} {cell!r}", "Write seconds, as 12.5")
        return None
    return seconds
