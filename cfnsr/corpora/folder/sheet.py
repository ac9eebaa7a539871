"""Read tables as people and programs write them: any separator, encoding and spelling of the header."""

from __future__ import annotations

import csv
import io
import unicodedata
import zipfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pyarrow.parquet import ParquetFile

from cfnsr.corpora.folder.problems import Problems
from cfnsr.errors import CfnsrError

_SEPARATORS = (",", ";", "\t", "|")
# What programs write for a missing value. Not "None", which may be an emotion's name.
_MISSING = frozenset({"", "nan", "<na>", "n/a", "#n/a", "null", "nat"})


@dataclass(frozen=True)
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
        CfnsrError: it cannot be read, or lacks a needed column, or has a column twice.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", "Give another file") from error
    if content.startswith((b"PAR1", b"PK\x03\x04")):
        header, lines = _read_binary(path, content)
    else:
        header, lines = _read_text(path, _decode(path, content), needed)
    names = [_name(cell) for cell in header]
    missing = [name for name in needed if name not in names]
    if missing:
        given = "one column" if len(header) == 1 else f"{len(header)} columns"
        problem = f"lacks the column {', '.join(missing)}; it has {given}: {', '.join(map(repr, header[:6]))}"
        raise CfnsrError(path, problem, f"Name the columns {', '.join(needed)} in the first line")
    wanted = {*needed, *optional}
    repeated = sorted({name for name in wanted if names.count(name) > 1})
    if repeated:
        raise CfnsrError(path, f"has the column {', '.join(repeated)} twice", "Rename one of them")
    rows = []
    for number, cells in lines:
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if any(cells[len(names) :]):
            kind = f"more cells than the header's {len(names)}"
            problems.add(kind, f"line {number}", "Put quotes around cells that contain the separator")
        of_row = dict(zip(names, cells, strict=False))
        if any("\n" in of_row.get(name, "") for name in wanted):
            problems.add("cells with a line break", f"line {number}", "Look for a quote that is not closed")
        values = {name: of_row.get(name, "") for name in wanted if name in names}
        rows.append(Row(number, {name: "" if cell.casefold() in _MISSING else cell for name, cell in values.items()}))
    if not rows:
        raise CfnsrError(path, "has no row below its header", "Add one row a clip")
    return Table(rows, [name for name in dict.fromkeys(names) if name and name not in wanted])


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


def _read_text(path: Path, text: str, needed: Collection[str]) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    """Split lines by the separator that gives the header the most needed columns."""

    header = next((line for line in text.splitlines() if line.strip()), "")

    def known(separator: str) -> int:
        cells = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
        return len({_name(cell) for cell in cells} & {*needed})

    # Strict, because an unclosed quote would swallow the rows that follow.
    separator = max(_SEPARATORS, key=known)
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        table = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        problem = f"cannot be read as a table (line {reader.line_num}: {error})"
        raise CfnsrError(path, problem, "Look for a quote that is not closed, or save it as CSV in UTF-8") from error
    if not table:
        raise CfnsrError(path, "is empty", f"Write a table with the columns {', '.join(needed)}")
    return table[0][1], table[1:]


def _read_binary(path: Path, content: bytes) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    """Read the rows with their numbers; pandas would rename the second of two columns of one name."""
    try:
        if content.startswith(b"PAR1"):
            table = ParquetFile(io.BytesIO(content)).read()
            rows = [table.column_names, *zip(*(column.to_pylist() for column in table.columns), strict=True)]
        else:
            frame = pd.read_excel(io.BytesIO(content), header=None, dtype=str, keep_default_na=False)
            rows = frame.itertuples(index=False, name=None)
    except ImportError as error:
        remedy = "Run `pip install 'cfnsr[xlsx]'`, or save the table as CSV"
        raise CfnsrError(path, "is a spreadsheet, which needs the package openpyxl", remedy) from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:  # including those of pandas and Arrow
        raise CfnsrError(path, f"cannot be read ({error})", "Save the table as CSV") from error
    texts = ([_text(cell) for cell in cells] for cells in rows)
    filled = [(number, cells) for number, cells in enumerate(texts, start=1) if any(cells)]
    return (filled[0][1], filled[1:]) if filled else ([], [])


def _name(cell: str) -> str:
    """Return a column's name in lower case, without the spaces and the marks without width that programs leave."""
    return "".join(char for char in cell if unicodedata.category(char) != "Cf").strip().casefold()


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():  # numbers of a column with a missing value
        return str(int(cell))
    return "" if cell is None or cell is pd.NA else str(cell)
