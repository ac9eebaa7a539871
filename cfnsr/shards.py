"""Samples of one speaker <-> frames.npy, mel.npy, mfcc.npy and clips.parquet.

A few large files instead of tens of thousands of small ones: DVC adds and checks out the former ten times
as fast, and training maps them into memory without reading what it does not use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8

from cfnsr.atomic import atomic_folder
from cfnsr.errors import CfnsrError
from cfnsr.types import Sample

INDEX = "clips.parquet"
ARRAYS = ("frames", "mel", "mfcc")


@dataclass(frozen=True)
class Shard:
    """One speaker's clips, memory-mapped; row ``i`` of each array is row ``i`` of the index.

    Attributes:
        index: one row a clip; the columns stand in docs/data.md.
        frames: RGB face crops.
        mel: log-mel in dB.
        mfcc: mel-frequency cepstral coefficients.
    """

    index: pd.DataFrame
    frames: UInt8[np.ndarray, "clip time height width 3"]
    mel: Float32[np.ndarray, "clip mel step"]
    mfcc: Float32[np.ndarray, "clip coef step"]


def write(folder: Path, rows: list[dict[str, object]], samples: Iterable[Sample]) -> None:
    """Write a shard, one sample at a time.

    Args:
        folder: where; replaced whole.
        rows: what the index says of each clip, besides what the sample itself knows.
        samples: in the order of ``rows``.
    """
    with atomic_folder(folder) as partial:
        arrays: dict[str, np.memmap] = {}
        index = []
        for position, (row, sample) in enumerate(zip(rows, samples, strict=True)):
            for name in ARRAYS:
                value = getattr(sample, name)
                if name not in arrays:
                    arrays[name] = np.lib.format.open_memmap(
                        partial / f"{name}.npy", mode="w+", dtype=value.dtype, shape=(len(rows), *value.shape)
                    )
                arrays[name][position] = value
            index.append({**row, "duration_s": sample.duration_s, "padded_s": sample.padded_s})
        for array in arrays.values():
            array.flush()
        pd.DataFrame(index).to_parquet(partial / INDEX, index=False)


def read(folder: Path) -> Shard:
    """Open a shard for reading; the arrays are mapped, not loaded.

    Raises:
        CfnsrError: a file is missing or broken, or index and arrays differ in length.
    """
    for name in (INDEX, *(f"{array}.npy" for array in ARRAYS)):
        if not (folder / name).is_file():
            raise CfnsrError(folder / name, "is missing", "Run `dvc repro extract`")
    try:
        arrays = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS)
        shard = Shard(pd.read_parquet(folder / INDEX), *arrays)
    except (OSError, ValueError, EOFError) as error:  # Arrow's errors are among them
        raise CfnsrError(folder, f"is not a shard ({error})", "Run `dvc repro -f extract`") from error
    for name in ARRAYS:
        if len(getattr(shard, name)) != len(shard.index):
            raise CfnsrError(
                folder / f"{name}.npy",
                f"holds {len(getattr(shard, name))} clips, the index {len(shard.index)}",
                "Run `dvc repro -f extract`",
            )
    return shard
