"""The 68 facial landmarks of each frame: one file a source, and the reading and writing of a speaker's Parquet file.

A source is a file of this package with a function ``finder(published, **options)``, which returns a function from
``Clip`` to ``Landmarks``. ``landmarks.source`` in params.yaml gives the file's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64

from cfnsr.corpora.clip import Clip
from cfnsr.runtime import registry, stored
from cfnsr.runtime.outputs import atomic_file

POINTS = 68


@dataclass(frozen=True)
class Landmarks:
    """The 68 iBUG landmarks of one clip, frame by frame.

    Attributes:
        points: x and y in pixels of the whole video frame.
        confidence: of the detector in each frame, 0 to 1; NaN in frames that were not given to it.
        frame_rate_hz: frames a second.
    """

    points: Float64[np.ndarray, "frame 68 2"]
    confidence: Float64[np.ndarray, " frame"]
    frame_rate_hz: float


def names() -> list[str]:
    """List the sources that ``landmarks.source`` may name."""
    return registry.names(__name__)


def finder(source: str, published: Path, **options: Any) -> Callable[[Clip], Landmarks]:
    """Return the function that finds the landmarks of a clip.

    Args:
        source: a file of this package.
        published: file of the speaker's landmarks that were published apart from the clips; may be missing.
        options: see the source.

    Raises:
        CfnsrError: there is no such source.
    """
    module = registry.load(__name__, source, where="landmarks.source", kind="source of landmarks")
    return module.finder(published, **options)


_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "frame": pa.int32(),
        "frame_rate_hz": pa.float64(),
        "confidence": pa.float64(),
        "points": pa.list_(pa.float32(), 2 * POINTS),  # x_0, y_0, x_1, ...
        "skipped": pa.string(),
    }
)


def write(path: Path, landmarks: Mapping[str, Landmarks], skipped: Mapping[str, str]) -> None:
    """Write one speaker's landmarks.

    Args:
        path: the file.
        landmarks: by clip id.
        skipped: by clip id, why a clip has none.
    """
    columns = {
        clip: {
            "frame_rate_hz": np.full(len(of_clip.points), of_clip.frame_rate_hz),
            "confidence": of_clip.confidence,
            "points": pa.FixedSizeListArray.from_arrays(of_clip.points.astype(np.float32).ravel(), 2 * POINTS),
        }
        for clip, of_clip in landmarks.items()
    }
    write_frames(path, _SCHEMA, columns, skipped)


def read(path: Path) -> tuple[dict[str, Landmarks], dict[str, str]]:
    """Read one speaker's landmarks, and why clips have none, both by clip id.

    Raises:
        CfnsrError: the file is not a file of landmarks.
    """
    tables, skipped = read_frames(path, _SCHEMA, "landmarks")
    landmarks = {
        clip: Landmarks(
            table["points"].combine_chunks().flatten().to_numpy().reshape(-1, POINTS, 2).astype(np.float64),
            table["confidence"].to_numpy(),
            table["frame_rate_hz"][0].as_py(),
        )
        for clip, table in tables.items()
    }
    return landmarks, skipped


def write_frames(
    path: Path, schema: pa.Schema, clips: Mapping[str, Mapping[str, Any]], skipped: Mapping[str, str]
) -> None:
    """Write a Parquet file of one row a frame.

    Args:
        path: the file.
        schema: its columns; ``clip``, ``frame`` and ``skipped`` are filled in here.
        clips: the other columns of each clip, by clip id; one value a frame.
        skipped: by clip id, why a clip has no frames; such a clip gets one row with only the reason.
    """
    options = {"compression": "zstd", "write_page_checksum": True}
    with atomic_file(path) as partial, pq.ParquetWriter(partial, schema, **options) as file:
        for clip, columns in clips.items():
            count = len(columns["confidence"])
            frames = {"clip": [clip] * count, "frame": np.arange(count), "skipped": pa.nulls(count, pa.string())}
            file.write_table(pa.table({name: {**columns, **frames}[name] for name in schema.names}, schema=schema))
        reasons = [{"clip": clip, "skipped": reason} for clip, reason in skipped.items()]
        file.write_table(pa.Table.from_pylist(reasons, schema=schema))


def read_frames(path: Path, schema: pa.Schema, content: str) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Read a file of ``write_frames``: the rows of each clip, and why clips have none, both by clip id.

    Args:
        path: the file.
        schema: its columns.
        content: what the file contains, for the error.

    Raises:
        CfnsrError: the file has other columns or cannot be read.
    """
    table = stored.read_table(path, schema, f"a file of {content}")
    with stored.reading(path, f"a file of {content}"):
        return _by_clip(table)


def _by_clip(table: pa.Table) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Return the rows of each clip, and why clips have none."""
    skipped = table.filter(table["skipped"].is_valid()).to_pylist()
    table = table.filter(table["skipped"].is_null())
    if any(table[name].null_count for name in table.column_names if name != "skipped"):
        raise ValueError("it has empty cells")
    numbers = table["frame"].to_numpy()
    starts = np.flatnonzero(numbers == 0).tolist()
    tables = [table.slice(start, end - start) for start, end in pairwise([*starts, len(table)])]
    if numbers.tolist() != [number for part in tables for number in range(len(part))]:
        raise ValueError("its frames do not follow each other")
    return {part["clip"][0].as_py(): part for part in tables}, {row["clip"]: row["skipped"] for row in skipped}
