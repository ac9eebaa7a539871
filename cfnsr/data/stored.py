"""A shard of which this machine has no copy: its rows are read from DVC's store, when they are asked for."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from cfnsr.data import shards
from cfnsr.errors import CfnsrError

_HEADER = 4096  # bytes, of which numpy's takes 128


@dataclass(frozen=True)
class Stored:
    """One speaker's clips in a store; as ``shards.Shard``, but for where the arrays are."""

    index: pd.DataFrame
    skipped: dict[str, str]
    frames: Rows
    mel: Rows
    mfcc: Rows


class Rows:
    """A ``.npy`` file in a store, as far as training needs an array.

    Args:
        store: of fsspec, which has the store's address and keys.
        path: there.

    Attributes:
        shape, dtype: as the file's header says.
    """

    def __init__(self, store: Any, path: str) -> None:
        self.store, self.path = store, path
        head = io.BytesIO(store.cat_file(path, start=0, end=_HEADER))
        if np.lib.format.read_magic(head) != (1, 0):
            raise ValueError("is of another version of numpy's format")
        self.shape, columns_first, self.dtype = np.lib.format.read_array_header_1_0(head)
        if columns_first:
            raise ValueError("has no rows of bytes that are side by side")
        self._first, self._row_bytes = head.tell(), self.dtype.itemsize * int(np.prod(self.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def span(self, row: int) -> tuple[int, int]:
        """The bytes of a row: the first, and the one after the last."""
        return self._first + row * self._row_bytes, self._first + (row + 1) * self._row_bytes


def fetch(asked: list[tuple[Rows, int]]) -> list[np.ndarray]:
    """Rows of one store, side by side where it can.

    Raises:
        CfnsrError: the store does not answer.
    """
    store = asked[0][0].store
    starts, ends = zip(*(rows.span(row) for rows, row in asked), strict=True)
    try:
        found = store.cat_ranges([rows.path for rows, _ in asked], list(starts), list(ends), on_error="raise")
        return [
            np.frombuffer(value, rows.dtype).reshape(rows.shape[1:])
            for value, (rows, _) in zip(found, asked, strict=True)
        ]
    except Exception as error:  # of as many kinds as there are stores
        raise CfnsrError(asked[0][0].path, f"cannot be read ({error})", "Look at the store, or `dvc pull`") from error


def find(folder: Path) -> Stored | None:
    """A shard by its path in the repository, from the remote that DVC pushes to; none where it has none.

    Raises:
        CfnsrError: there is a remote, and it does not have the shard, or does not answer.
    """
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError, StorageKeyError

    try:
        repo = _repo()
        index, _ = repo.get_data_index_entry(str(folder.resolve()))
        found = {}
        for name in (shards.INDEX, *(f"{array}.npy" for array in shards.ARRAYS)):
            found[name] = index.storage_map.get_remote(repo.get_data_index_entry(str(folder.resolve() / name))[1])
    except DataIndexDirError as error:
        raise CfnsrError(folder, f"cannot be found in the store ({error})", "Run `dvc push` where it is") from error
    except (DvcException, StorageKeyError, KeyError, ValueError):  # no repository, no such output, or no remote
        return None
    store, first = found[shards.INDEX]
    click.echo(f"{folder} is not on this machine: read from {store.unstrip_protocol(first)} and its like", err=True)
    try:
        table = io.BytesIO(store.fs.cat_file(first))
        arrays = {name: Rows(store.fs, found[f"{name}.npy"][1]) for name in shards.ARRAYS}
    except Exception as error:  # of as many kinds as there are stores
        raise CfnsrError(folder, f"cannot be read from the store ({error})", "Run `dvc push` where it is") from error
    return Stored(*shards.read_index(folder, table, arrays), **arrays)


@functools.cache
def _repo():
    from dvc.repo import Repo

    return Repo()
