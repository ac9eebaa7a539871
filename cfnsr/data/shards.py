"""Samples of one speaker <-> frames.npy, mel.npy, mfcc.npy and clips.parquet.

A few large files instead of tens of thousands of small ones: DVC adds and checks out the former ten times
as fast, and training maps them into memory without reading what it does not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, UInt8

from cfnsr.corpora.clip import Sample
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_folder

INDEX = "clips.parquet"
ARRAYS = {"frames": np.uint8, "mel": np.float32, "mfcc": np.float32}


_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "actor": pa.string(),
        "label": pa.string(),
        "intensity": pa.string(),
        "statement": pa.int32(),
        "repetition": pa.int32(),
        "box_side_px": pa.float64(),
        "box_confidence": pa.float64(),
        "box_interpolated": pa.float64(),
        "source_md5": pa.string(),
        "duration_s": pa.float64(),
        "padded_s": pa.float64(),
        "skipped": pa.string(),
    }
)


@dataclass(frozen=True)
class Shard:
    """One speaker's clips, memory-mapped; row ``i`` of each array is row ``i`` of the index.

    Attributes:
        index: one row a clip; the columns stand in docs/data.md.
        skipped: by clip, why it could not be used; these stand in no array, and in the file's index alone.
        frames: RGB face crops.
        mel: log-mel in dB.
        mfcc: mel-frequency cepstral coefficients.
    """

    index: pd.DataFrame
    skipped: dict[str, str]
    frames: UInt8[np.ndarray, "clip time height width 3"]
    mel: Float32[np.ndarray, "clip mel step"]
    mfcc: Float32[np.ndarray, "clip coef step"]


def write(
    folder: Path, rows: list[dict[str, object]], samples: Iterable[Sample | None], skipped: Mapping[str, str]
) -> None:
    """Write a shard, one sample at a time.

    Args:
        folder: where; replaced whole.
        rows: what the index says of each clip, besides what the sample itself knows.
        samples: in the order of ``rows``; none for a clip that is skipped.
        skipped: by clip, why; read after the last sample. A clip that is in no row gets one.

    Raises:
        CfnsrError: every clip is skipped.
    """
    with atomic_folder(folder) as partial:
        index = []
        with ExitStack() as files:
            arrays: dict[str, _Growing] = {}
            for row, sample in zip(rows, samples, strict=True):
                if sample is None:
                    continue
                for name in ARRAYS:
                    value = getattr(sample, name)
                    if name not in arrays:
                        arrays[name] = files.enter_context(_Growing(partial / f"{name}.npy", value))
                    arrays[name].append(value)
                index.append({**row, "duration_s": sample.duration_s, "padded_s": sample.padded_s})
        if not index:
            first = next(iter(skipped.items()), ("", "there is none"))
            raise CfnsrError(
                folder,
                f"none of its clips can be used; {' '.join(first)}",
                "Fetch this speaker's clips again, or drop it",
            )
        known = {row["clip"]: row for row in rows}
        index += [{**known.get(clip, {"clip": clip}), "skipped": why} for clip, why in skipped.items()]
        pq.write_table(pa.Table.from_pylist(index, schema=_SCHEMA), partial / INDEX)


class _Growing:
    """A .npy file to which values of one shape are appended; how many they were is written at the end."""

    def __init__(self, path: Path, first: np.ndarray) -> None:
        self._file, self._shape, self._type, self._count = path.open("wb"), first.shape, first.dtype, 0

    def __enter__(self) -> _Growing:
        self._header()
        return self

    def append(self, value: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(value, self._type).data)
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._header()
        self._file.close()

    def _header(self) -> None:
        # numpy leaves room for the first dimension to grow, so the header's length does not change.
        kind = {"descr": np.lib.format.dtype_to_descr(self._type), "fortran_order": False}
        np.lib.format.write_array_header_1_0(self._file, {**kind, "shape": (self._count, *self._shape)})


def read(folder: Path) -> Shard:
    """Open a shard for reading; the arrays are mapped, not loaded.

    Raises:
        CfnsrError: a file is missing or broken, or index and arrays differ in length.
    """
    for name in (INDEX, *(f"{array}.npy" for array in ARRAYS)):
        if not (folder / name).is_file():
            raise CfnsrError(folder / name, "is missing", "Run `dvc repro extract`")
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    except (OSError, ValueError, EOFError) as error:
        raise _no_shard(folder, error) from error
    return Shard(*read_index(folder, folder / INDEX, arrays), **arrays)


def read_index(folder: Path, table: Path | BytesIO, arrays: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, str]]:
    """A shard's index, and by clip why it was skipped, wherever the files are.

    Args:
        folder: which shard an error is to name.
        table: the index, a Parquet file.
        arrays: by name; have a length and a ``dtype``.

    Raises:
        CfnsrError: the index is broken, or index and arrays do not fit each other.
    """
    try:
        for name, kind in ARRAYS.items():
            if arrays[name].dtype != kind:
                raise ValueError(f"{name}.npy holds {arrays[name].dtype}, not {np.dtype(kind)}")
        rows = pd.read_parquet(table)
        used = rows["skipped"].isna()
        skipped = dict(rows.loc[~used, ["clip", "skipped"]].itertuples(index=False, name=None))
        index = pd.DataFrame(rows[used]).drop(columns="skipped")
    except (OSError, ValueError, KeyError) as error:  # Arrow's errors are among them
        raise _no_shard(folder, error) from error
    for name in ARRAYS:
        if len(arrays[name]) != len(index):
            raise CfnsrError(
                folder / f"{name}.npy",
                f"holds {len(arrays[name])} clips, the index {len(index)}",
                "Run `dvc repro -f extract`",
            )
    return index, skipped


def _no_shard(folder: Path, error: Exception) -> CfnsrError:
    return CfnsrError(folder, f"is not a shard ({error})", "Run `dvc repro -f extract`")
