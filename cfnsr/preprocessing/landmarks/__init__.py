"""The 68 facial landmarks of each frame: one file a source, and the Parquet file that holds one speaker's.

A source is a file of this package that offers ``finder(published, **options)``, which returns a function from
``Clip`` to ``Landmarks``; the file's name is what ``landmarks.source`` in params.yaml may say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime import registry
from cfnsr.runtime.outputs import atomic_file

POINTS = 68


@dataclass(frozen=True)
class Landmarks:
    """The 68 iBUG landmarks of one clip, frame by frame.

    Attributes:
        points: x and y in pixels of the whole video frame.
        confidence: of the detector in each frame, 0 to 1; NaN where it did not look.
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
        published: file of one speaker's landmarks that were published apart from the clips; need not exist.
        options: see the source.
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
        "refused": pa.string(),
    }
)


def write(path: Path, landmarks: Mapping[str, Landmarks], refused: Mapping[str, str]) -> None:
    """Write one speaker's landmarks.

    Args:
        path: where.
        landmarks: by clip id.
        refused: by clip id, why a clip has none; such a clip gets one row that holds only the reason.
    """
    with atomic_file(path) as partial, pq.ParquetWriter(partial, _SCHEMA, compression="zstd") as file:
        for clip, found in landmarks.items():
            count = len(found.points)
            columns = {
                "clip": pa.array([clip] * count),
                "frame": np.arange(count, dtype=np.int32),
                "frame_rate_hz": np.full(count, found.frame_rate_hz),
                "confidence": found.confidence,
                "points": pa.FixedSizeListArray.from_arrays(found.points.astype(np.float32).ravel(), 2 * POINTS),
                "refused": pa.nulls(count, pa.string()),
            }
            file.write_table(pa.table(columns, schema=_SCHEMA))
        reasons = [{"clip": clip, "refused": reason} for clip, reason in refused.items()]
        file.write_table(pa.Table.from_pylist(reasons, schema=_SCHEMA))


def read(path: Path) -> tuple[dict[str, Landmarks], dict[str, str]]:
    """Read one speaker's landmarks, and why clips have none, both by clip id.

    Raises:
        CfnsrError: it is not such a file.
    """
    try:
        table = pq.read_table(path, schema=_SCHEMA)
    except (OSError, pa.ArrowInvalid) as error:
        raise CfnsrError(path, f"is not a file of landmarks ({error})", "Run `dvc repro landmarks`") from error
    refused = table.filter(table["refused"].is_valid()).to_pylist()
    table = table.filter(table["refused"].is_null())
    clips, frames = table["clip"].to_pylist(), table["frame"].to_numpy()
    points = table["points"].combine_chunks().flatten().to_numpy().reshape(-1, POINTS, 2).astype(np.float64)
    confidence, rate = table["confidence"].to_numpy(), table["frame_rate_hz"].to_numpy()
    first = np.flatnonzero(frames == 0)
    landmarks = {
        clips[start]: Landmarks(points[start:end], confidence[start:end], float(rate[start]))
        for start, end in zip(first, np.append(first, len(clips))[1:], strict=True)
    }
    return landmarks, {row["clip"]: row["refused"] for row in refused}
