"""Where the 68 facial landmarks of each frame come from, one file per source.

Each source offers ``tracker(published, **options)``, which gives a function from ``Clip`` to ``Track``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file

POINTS = 68


@dataclass(frozen=True)
class Track:
    """The 68 iBUG landmarks of one clip, frame by frame.

    Attributes:
        points: x and y in pixels of the whole video frame.
        confidence: the tracker's own, 0 to 1, per frame; NaN where it did not look.
        frame_rate_hz: frames a second.
    """

    points: Float64[np.ndarray, "frame 68 2"]
    confidence: Float64[np.ndarray, " frame"]
    frame_rate_hz: float


def names() -> list[str]:
    """The sources that ``crop.landmarks`` may name."""
    return sorted(module.name for module in iter_modules(__path__))


def tracker(source: str, published: Path, **options: Any) -> Callable[[Clip], Track]:
    """What finds the landmarks of a clip.

    Args:
        source: a file of this package.
        published: one speaker's landmarks that were published apart from the clips; there may be none.
        options: see the source.
    """
    return import_module(f"{__name__}.{source}").tracker(published, **options)


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


def write(path: Path, tracks: Mapping[str, Track], refused: Mapping[str, str]) -> None:
    """Write one speaker's landmarks.

    Args:
        path: where.
        tracks: by clip id.
        refused: by clip id, why a clip has none; it gets one row, with the reason alone.
    """
    with atomic_file(path) as partial, pq.ParquetWriter(partial, _SCHEMA, compression="zstd") as file:
        for clip, track in tracks.items():
            count = len(track.points)
            columns = {
                "clip": pa.array([clip] * count),
                "frame": np.arange(count, dtype=np.int32),
                "frame_rate_hz": np.full(count, track.frame_rate_hz),
                "confidence": track.confidence,
                "points": pa.FixedSizeListArray.from_arrays(track.points.astype(np.float32).ravel(), 2 * POINTS),
                "refused": pa.nulls(count, pa.string()),
            }
            file.write_table(pa.table(columns, schema=_SCHEMA))
        reasons = [{"clip": clip, "refused": reason} for clip, reason in refused.items()]
        file.write_table(pa.Table.from_pylist(reasons, schema=_SCHEMA))


def read(path: Path) -> tuple[dict[str, Track], dict[str, str]]:
    """One speaker's landmarks, and why clips have none, both by clip id.

    Raises:
        CfnsrError: it is not such a file.
    """
    try:
        table = pq.read_table(path, schema=_SCHEMA)
    except (OSError, pa.ArrowInvalid) as error:
        raise CfnsrError(path, f"is not a file of landmarks ({error})", "Run `dvc repro landmarks`") from error
    gone = np.array([reason is not None for reason in table["refused"].to_pylist()], bool)
    refused = table.filter(pa.array(gone)).to_pylist()
    table = table.filter(pa.array(~gone))
    clips, frames = table["clip"].to_pylist(), table["frame"].to_numpy()
    points = table["points"].combine_chunks().flatten().to_numpy().reshape(-1, POINTS, 2).astype(np.float64)
    confidence, rate = table["confidence"].to_numpy(), table["frame_rate_hz"].to_numpy()
    first = np.flatnonzero(frames == 0)
    found = {
        clips[start]: Track(points[start:end], confidence[start:end], float(rate[start]))
        for start, end in zip(first, np.append(first, len(clips))[1:], strict=True)
    }
    return found, {row["clip"]: row["refused"] for row in refused}
