"""Read tables from Parquet and spreadsheets: small files, which may unpack to gigabytes."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.compute
from pyarrow import types
from pyarrow.parquet import FileMetaData, ParquetFile

from cfnsr.corpora.folder.names import column_name

# What is read of a table needs less than 3 GB of memory, whatever it holds; 700 MB of a million usual rows.
MOST_ROWS = 1_000_000
MOST_COLUMNS = 1 << 14  # as in a spreadsheet
MOST_BYTES = 1 << 27  # of a text, or of Parquet's columns unpacked; all cells may have as many letters
_MOST_OF_SPREADSHEET = MOST_BYTES // 4  # an empty cell has 4 bytes in the file, and 240 in openpyxl
LONGEST = 4096  # letters of a cell that is used: the longest path that Linux takes
_LETTER = 4  # bytes of the longest letter in UTF-8
_BATCH = 10_000  # rows


def parquet(path: Path, wanted: Collection[str]) -> Iterator[list[object]]:
    """Yield the names of the columns, then the rows; cells of columns that are not wanted are None.

    Args:
        path: the file.
        wanted: columns, see ``column_name``; there must be one of each name.

    Raises:
        ValueError: it holds too much, or columns are no text or numbers.
    """
    with ParquetFile(path) as file:
        names, metadata = file.schema_arrow.names, file.metadata
        yield list(names)
    paths = [metadata.schema.column(position).path for position in range(metadata.num_columns)]
    used = [name for name in names if column_name(name) in wanted]
    _check_size(metadata, used)
    # One long text may be the cell of many rows: as dictionaries, such columns stay as small as they are in the file.
    with ParquetFile(path, read_dictionary=paths) as file:
        for name in used:
            if not _is_plain(file.schema_arrow.field(name).type):
                raise ValueError(f"its column {name} is {file.schema_arrow.field(name).type}, not text or numbers")
        for batch in file.iter_batches(_BATCH, columns=used):
            for name in used:
                _check_length(name, batch.column(name))
            cells = {name: batch.column(name).to_pylist() for name in used}
            nothing = [None] * len(batch)
            yield from map(list, zip(*(cells.get(name, nothing) for name in names), strict=True))


def _check_size(metadata: FileMetaData, used: Collection[str]) -> None:
    """Check the number of rows, and the size of the columns that are used; Arrow unpacks a page as a whole."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    # Arrow reads `label.first` with `label`, too.
    unpacked = sum(part.total_uncompressed_size for part in columns if part.path_in_schema.split(".")[0] in used)
    if metadata.num_rows > MOST_ROWS or unpacked > MOST_BYTES:
        limits = f"{MOST_ROWS:,} and {MOST_BYTES >> 20}"
        raise ValueError(f"its {metadata.num_rows:,} rows unpack to {unpacked >> 20:,} MB; the limits are {limits}")


def _is_plain(kind: pa.DataType) -> bool:
    kind = kind.value_type if isinstance(kind, pa.DictionaryType) else kind
    tests = (types.is_string, types.is_large_string, types.is_primitive, types.is_decimal, types.is_null)
    return any(test(kind) for test in tests)


def _check_length(name: str, column: pa.Array) -> None:
    texts = column.dictionary if isinstance(column, pa.DictionaryArray) else column
    if not (types.is_string(texts.type) or types.is_large_string(texts.type)):
        return
    functions: Any = pyarrow.compute  # made when it is imported
    longest = functions.max(functions.binary_length(texts)).as_py() or 0
    if longest > _LETTER * LONGEST:
        raise ValueError(f"its column {name} has a cell of {longest:,} bytes; the limit is {_LETTER * LONGEST:,}")


def spreadsheet(content: bytes) -> Iterator[list[object]]:
    """Yield the rows of a spreadsheet's first sheet.

    Raises:
        ValueError: it unpacks to too much.
    """
    from openpyxl import load_workbook  # an extra

    unpacked = sum(part.file_size for part in ZipFile(io.BytesIO(content)).infolist())
    if unpacked > _MOST_OF_SPREADSHEET:
        raise ValueError(f"it unpacks to {unpacked >> 20:,} MB; the limit is {_MOST_OF_SPREADSHEET >> 20}")
    workbook = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    sheet: Any = workbook.worksheets[0]
    sheet.reset_dimensions()  # some programs write wrong ones
    for row in sheet.rows:
        yield ["" if cell.data_type == "e" else cell.value for cell in row]  # e: an error, such as #REF!
