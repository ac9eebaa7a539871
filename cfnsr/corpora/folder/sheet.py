"""Read tables as people and programs write them: any separator, encoding and spelling of the header."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cfnsr.corpora.folder import binary_tables
from cfnsr.corpora.folder.binary_tables import LONGEST, MOST_BYTES, MOST_COLUMNS, MOST_ROWS
from cfnsr.corpora.folder.names import column_name
from cfnsr.corpora.folder.problems import Problems
from cfnsr.errors import CfnsrError

_HEADER = 100_000  # letters that tell the separator; csv takes cells of 131,072
_SEPARATORS = (",", ";", "\t", "|")
# What programs write for a missing value. Not "None", which may be an emotion's name.
_MISSING = frozenset({"", "nan", "<na>", "n/a", "#n/a", "null", "nat"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        line: number of its line, from 1 for the header, as spreadsheets count.
        cells: by column in lower case, without spaces around; empty if missing.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """The rows of a table that are not empty, and the columns that nobody asked for."""

    rows: list[Row]
    unread: list[str]


def read(path: Path, needed: Collection[str], optional: Collection[str], problems: Problems) -> Table:
    """Read a table: text with a separator, Parquet, or a spreadsheet (xlsx).

    Args:
        path: the file. Its content decides how it is read, not its name.
        needed, optional: columns, in lower case.
        problems: rows with cells behind the last column are added to them.

    Raises:
        CfnsrError: it cannot be read, is too large, or lacks a needed column, or has a column twice.
    """
    wanted = {*needed, *optional}
    lines = _limited(path, _lines(path, needed, wanted))
    _, header = next(lines, (0, []))
    if not header:
        raise CfnsrError(path, "is empty", f"Write a table with the columns {', '.join(needed)}")
    names = [column_name(cell) for cell in header]
    missing = [name for name in needed if name not in names]
    if missing:
        given = "one column" if len(header) == 1 else f"{len(header)} columns"
        first = ", ".join(repr(cell[:50]) for cell in header[:6])
        problem = f"lacks the column {', '.join(missing)}; it has {given}: {first}"
        raise CfnsrError(path, problem, f"Name the columns {', '.join(needed)} in the first line")
    repeated = sorted({name for name in wanted if names.count(name) > 1})
    if repeated:
        raise CfnsrError(path, f"has the column {', '.join(repeated)} twice", "Rename one of them")
    rows = []
    for number, cells in lines:
        if any(cells[len(names) :]):
            kind = f"more cells than the header's {len(names)}"
            problems.add(kind, f"line {number}", "Put quotes around cells that contain the separator")
        of_row = dict(zip(names, cells, strict=False))
        if any("\n" in of_row.get(name, "") for name in wanted):
            problems.add("cells with a line break", f"line {number}", "Look for a quote that is not closed")
        values = {name: of_row.get(name, "") for name in wanted if name in names}
        if any(len(cell) > LONGEST for cell in values.values()):
            raise CfnsrError(path, f"has a cell of more than {LONGEST:,} letters in line {number}", "Correct the cell")
        rows.append(Row(number, {name: "" if cell.casefold() in _MISSING else cell for name, cell in values.items()}))
    if not rows:
        raise CfnsrError(path, "has no row below its header", "Add one row a clip")
    return Table(rows, [name for name in dict.fromkeys(names) if name and name not in wanted])


def _lines(path: Path, needed: Collection[str], wanted: Collection[str]) -> Iterable[tuple[int, list[str]]]:
    """Return the number and the cells of each line, first the header; they are read as they are asked for."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            content = b"" if start == b"PAR1" else start + file.read(MOST_BYTES)
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", "Give another file") from error
    if start == b"PAR1":
        return _read_binary(path, binary_tables.parquet(path, wanted))
    if len(content) > MOST_BYTES:
        raise CfnsrError(path, f"has more than {MOST_BYTES >> 20} MB", "Keep the columns and rows that are needed")
    if start == b"PK\x03\x04":
        return _read_binary(path, binary_tables.spreadsheet(content))
    return _read_text(path, _decode(path, content), needed)


def _limited(path: Path, lines: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not empty, without spaces around cells.

    Raises:
        CfnsrError: there are too many.
    """
    letters = 0
    for count, (number, cells) in enumerate(lines):
        letters += sum(map(len, cells)) + len(cells)
        if count > MOST_ROWS or len(cells) > MOST_COLUMNS or letters > MOST_BYTES:
            problem = (
                f"has more than {MOST_ROWS:,} rows, {MOST_COLUMNS:,} columns or {MOST_BYTES >> 20} million letters"
            )
            raise CfnsrError(path, problem, "Keep the columns and rows that are needed")
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield number, cells


def _decode(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in content[:200]:  # UTF-16 without its mark: the zero of a Latin letter tells the order
        encodings = ["utf-16-le" if content[1:2] == b"\0" else "utf-16-be"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CfnsrError(path, "is neither text nor a Parquet or xlsx file", "Save it as CSV in UTF-8")


def _read_text(path: Path, text: str, needed: Collection[str]) -> Iterator[tuple[int, list[str]]]:
    """Split lines by the separator that gives the header the most needed columns."""

    header = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")[:_HEADER]

    def known(separator: str) -> int:
        cells = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
        return len({column_name(cell) for cell in cells} & {*needed})

    # Strict, because an unclosed quote would swallow the rows that follow.
    separator = max(_SEPARATORS, key=known)
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        problem = f"cannot be read as a table (line {reader.line_num}: {error})"
        raise CfnsrError(path, problem, "Look for a quote that is not closed, or save it as CSV in UTF-8") from error


def _read_binary(path: Path, rows: Iterable[Iterable[object]]) -> Iterator[tuple[int, list[str]]]:
    """Number the rows, and turn whatever a library raises about the file into one error."""
    try:
        for number, cells in enumerate(rows, start=1):
            yield number, [_text(cell) for cell in cells]
    except ImportError as error:
        remedy = "Run `pip install 'cfnsr[xlsx]'`, or save the table as CSV"
        raise CfnsrError(path, "is a spreadsheet, which needs the package openpyxl", remedy) from error
    except Exception as error:  # openpyxl and Arrow raise many types
        reason = " ".join(str(error).split())[:200]
        raise CfnsrError(path, f"cannot be read ({reason})", "Save the table as CSV") from error


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():  # numbers of a column with a missing value
        return str(int(cell))
    return "" if cell is None else str(cell)
