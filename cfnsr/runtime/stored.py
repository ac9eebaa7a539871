"""Read files that stages wrote. A damaged one is one error with the commands that make it again.

The libraries below raise nearly anything for a damaged file: pandas an ``AttributeError`` for metadata that are a list,
NumPy a ``SyntaxError`` for a header that is no Python. What is read is then compared with what the file must hold.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cfnsr.errors import CfnsrError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

Kind = TypeVar("Kind")

# DVC restores a damaged file from its cache, unless the cache is damaged too, or the file's size and time are as they
# were: `--deep --mend` removes both. `dvc repro -f` would run all stages before it again, too, the download among them.
AGAIN = "Run `cfnsr check --deep --mend`, then `dvc repro`"
_MISSING = "Run `dvc repro`, which makes what is missing"
_REFUSED = {errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE}  # the file may be sound
_LONGEST = 200  # characters of a library's message; Arrow quotes whole lines


def fetching(path: Path) -> str:
    """Return the command that makes or fetches a speaker's clips again, whatever DVC's cache and workspace hold.

    Args:
        path: a file or folder of the speaker: ``data/<corpus>/<folder>/<speaker>``.
    """
    return f"`cfnsr check --deep --mend && dvc repro -f -s download@{path.parent.parent.name}-{path.stem}`"


@contextmanager
def reading(path: Path, content: str, remedy: str = AGAIN) -> Iterator[None]:
    """Turn what a library raises for a damaged file into one error.

    Args:
        path: of the file.
        content: what it should hold, ``a table of predictions``.
        remedy: for the error.

    Raises:
        CfnsrError: the file is missing or damaged.
    """
    try:
        yield
    except CfnsrError:
        raise
    except FileNotFoundError as error:
        raise CfnsrError(path, "is missing", _MISSING if remedy == AGAIN else remedy) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _REFUSED:
            raise
        reason = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        raise CfnsrError(path, f"is not {content} ({reason})", remedy) from error


def read_json(path: Path, kind: type[Kind], content: str, remedy: str = AGAIN) -> Kind:
    """Read a value from JSON; see ``reading``.

    Args:
        path: of the file.
        kind: a dataclass, which says whether there may be other fields, or another type that pydantic knows.
        content: what the file should hold.
        remedy: for the error.
    """
    from pydantic import TypeAdapter, ValidationError

    with reading(path, content, remedy):
        try:
            return TypeAdapter(kind).validate_json(path.read_bytes())
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise ValueError(f"{where}: {fault['msg']}" if where else fault["msg"]) from error


def read_table(path: Path, schema: pa.Schema, content: str, remedy: str = AGAIN) -> pa.Table:
    """Read a table of a schema from Parquet; see ``reading``."""
    import pyarrow.parquet as pq

    with reading(path, content, remedy):
        _check_columns(path, {field.name: field.type for field in schema})
        return pq.read_table(path, schema=schema, page_checksum_verification=True)


def read_frame(
    path: Path, columns: Mapping[str, pa.DataType], content: str, remedy: str = AGAIN, *, unused: str = ""
) -> pd.DataFrame:
    """Read a table from Parquet as pandas does, with its attributes; see ``reading``.

    Args:
        path: of the file.
        columns: those that it must have, with their types, and without empty cells or infinite numbers.
        content: what the file should hold.
        remedy: for the error.
        unused: a column of texts, which must be there, too. Where it has one, the row's other cells may be empty.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    with reading(path, content, remedy):
        _check_columns(path, {**columns, **({unused: pa.string()} if unused else {})})
        frame: Any = pd.read_parquet(path, page_checksum_verification=True)
        used = frame[frame[unused].isna()] if unused else frame
        for name, kind in columns.items():
            if used[name].isna().any() or (pa.types.is_floating(kind) and not np.isfinite(used[name]).all()):
                raise ValueError(f"its column {name} has cells that are empty or not finite")
        return frame


def _check_columns(path: Path, columns: Mapping[str, pa.DataType]) -> None:
    """Compare a file's columns with those that it must have."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise ValueError(f"it lacks the column {', '.join(missing)}")
    for name, kind in columns.items():
        actual = schema.field(name).type  # fails where two columns have the name
        alike = (_family(actual) or actual) == (_family(kind) or kind)
        if not alike and not pa.types.is_null(actual):  # a column of empty cells only has no type
            raise ValueError(f"its column {name} is {actual}, not {kind}")


def _family(kind: pa.DataType) -> str:
    """Return what a type has in common with others; empty if there are none."""
    from pyarrow import types

    tests = {
        "text": (types.is_string, types.is_large_string),
        "number": (types.is_floating, types.is_integer),  # pandas makes floats of integers with empty cells
    }
    return next((name for name, of_name in tests.items() if any(test(kind) for test in of_name)), "")


def read_array(
    path: Path, dtype: type[np.generic], dimensions: int, content: str, remedy: str = AGAIN, *, mapped: bool = False
) -> np.ndarray:
    """Read an array from a ``.npy`` file; see ``reading``.

    Args:
        path: of the file.
        dtype: of its values.
        dimensions: number of its dimensions.
        content: what the file should hold.
        remedy: for the error.
        mapped: whether it is mapped into memory, not loaded.
    """
    import numpy as np

    with reading(path, content, remedy):
        array = np.load(path, mmap_mode="r" if mapped else None)
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dimensions:
            found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "several arrays"
            raise ValueError(f"it holds {found}, not {np.dtype(dtype)} of {dimensions} dimensions")
        return array
