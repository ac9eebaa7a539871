"""Read rows of an array from its file, without keeping the file open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cfnsr.errors import CfnsrError


@dataclass(frozen=True)
class StoredArray:
    """An array in a ``.npy`` file, read a row at a time; it keeps no file open.

    Attributes:
        path: of the file.
        dtype: of its values.
        shape: of the whole array, a row a clip.
        offset: where the first row begins, in bytes.
    """

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, array: np.ndarray) -> StoredArray:
        """Describe an array that numpy has mapped from its file."""
        assert isinstance(array, np.memmap)
        return cls(Path(str(array.filename)), array.dtype, array.shape, array.offset)

    def read(self, row: int, out: np.ndarray) -> None:
        """Read a row.

        Args:
            row: its number.
            out: contiguous, of the shape of a row; filled.

        Raises:
            CfnsrError: the file is missing, or ends before the row does.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset + row * out.nbytes)
                complete = file.readinto(out.data.cast("B")) == out.nbytes
        except FileNotFoundError:
            complete = False
        if not complete:
            raise CfnsrError(
                self.path, f"has no row {row} any more", "Run `cfnsr check --deep --mend`, then `dvc repro`"
            )
