"""Write and read shards: the arrays of one speaker's clips, one ``.npy`` file an array, and ``clips.parquet``.

DVC adds and checks out a few large files ten times as fast as tens of thousands of small ones, and training maps
them into memory, which reads only what is used.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cfnsr.errors import CfnsrError
from cfnsr.runtime import libraries, stored
from cfnsr.runtime.outputs import atomic_folder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ArraySpec:
    """One array of a clip.

    Attributes:
        dtype: of its values.
        dimensions: the names of one clip's dimensions.
        modality: ``video`` or ``audio``.
    """

    dtype: type[np.generic]
    dimensions: tuple[str, ...]
    modality: str = "audio"


# The table of arrays: shards, batches and the manifest hold these; docs/extending.md says how to add one.
ARRAYS = {
    "frames": ArraySpec(np.uint8, ("time", "height", "width", "channel"), "video"),  # face crops, RGB, 0 to 255
    "mel": ArraySpec(np.float32, ("mel", "step")),  # log-mel spectrogram in dB
    "mfcc": ArraySpec(np.float32, ("coefficient", "step")),  # mel-frequency cepstral coefficients
}
BOTH = ("video", "audio")  # modalities
INDEX = "clips.parquet"
_LIBRARIES = b"libraries"  # key in the index's metadata
_AGREE = "Make what cfnsr.preprocessing.extract returns agree with ARRAYS in cfnsr/data/shards.py"
_COLUMNS = pa.schema(
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
        "box_jumps": pa.int32(),
        "source_md5": pa.string(),
        "duration_s": pa.float64(),
        "padded_s": pa.float64(),
        "sound_offset_s": pa.float64(),
        "tracks": pa.int32(),
        "lost_frames": pa.int32(),
        "scaled_frames": pa.int32(),
        "still": pa.bool_(),
        "transfer": pa.string(),
        "skipped": pa.string(),
    }
)
# Of a clip that is used; the others are empty where a corpus has one modality, or says less of its clips.
_FILLED = (
    "clip", "actor", "label", "source_md5", "duration_s", "padded_s", "sound_offset_s", "tracks", "lost_frames",
    "scaled_frames", "still", "transfer",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """The arrays of one clip.

    Attributes:
        arrays: by name, those of ``ARRAYS`` whose modality the corpus has.
        duration_s: length of the video stream, or of the sound where no video is used, in seconds.
        padded_s: seconds of silence in the window, where the clip has no sound.
        sound_offset_s: seconds by which the sound begins after the picture.
        tracks: number of tracks of sound.
        lost_frames: frames before the first that can be decoded.
        scaled_frames: frames whose picture had another size than the first one's.
        still: whether all frames are the same picture.
        transfer: ``pq`` or ``hlg`` if the picture has a high dynamic range, else ``sdr``.
    """

    arrays: dict[str, np.ndarray]
    duration_s: float
    padded_s: float
    sound_offset_s: float = 0.0
    tracks: int = 1
    lost_frames: int = 0
    scaled_frames: int = 0
    still: bool = False
    transfer: str = "sdr"

    def facts(self) -> dict[str, object]:
        """Return all fields but the arrays: columns of the index."""
        return {column.name: getattr(self, column.name) for column in fields(self) if column.name != "arrays"}


@dataclass(frozen=True)
class Shard:
    """One speaker's clips.

    Attributes:
        index: one row a clip; docs/data.md describes the columns.
        skipped: by clip, why it could not be used; these clips are in no array and not in ``index``.
        arrays: by name, memory-mapped; row ``i`` belongs to row ``i`` of ``index``.
        libraries: versions of those that made the arrays, by name.
    """

    index: pd.DataFrame
    skipped: dict[str, str]
    arrays: dict[str, np.ndarray]
    libraries: dict[str, str] = field(default_factory=dict)


def array_names(modalities: Collection[str]) -> list[str]:
    """List the arrays of some modalities, in the order of ``ARRAYS``."""
    return [name for name, spec in ARRAYS.items() if spec.modality in modalities]


def write(
    folder: Path,
    rows: list[dict[str, object]],
    samples: Iterable[Sample | None],
    skipped: Mapping[str, str],
    modalities: Collection[str] = BOTH,
) -> None:
    """Write a shard, one sample at a time.

    Args:
        folder: of the shard; replaced as a whole.
        rows: the columns of the index that are known before a clip is decoded, one row a clip.
        samples: in the order of ``rows``; None for a clip that is skipped.
        skipped: by clip, why it cannot be used; read after the last sample.
        modalities: of the corpus, which decide the arrays.

    Raises:
        CfnsrError: every clip is skipped, or a sample has other arrays than ``ARRAYS`` of these modalities.
    """
    names = array_names(modalities)
    with atomic_folder(folder) as partial:
        index: list[dict[str, object]] = []
        shapes: dict[str, tuple[int, ...]] = {}
        with ExitStack() as stack:
            files = {name: stack.enter_context((partial / f"{name}.npy").open("wb")) for name in names}
            for row, sample in zip(rows, samples, strict=True):
                if sample is None:
                    continue
                _check_sample(f"{folder}, clip {row['clip']}", sample, names)
                for name, file in files.items():
                    array = sample.arrays[name]
                    if not index:
                        shapes[name] = array.shape
                        _write_header(file, name, (0, *array.shape))
                    assert array.shape == shapes[name]
                    file.write(np.ascontiguousarray(array).data)
                index.append({**row, **sample.facts()})
            for name, shape in shapes.items():
                _write_header(files[name], name, (len(index), *shape))
        if not index:
            reason = " ".join(next(iter(skipped.items()), ("", "there is none")))
            problem = f"none of its clips can be used; {reason}"
            remedy = f"Fetch its clips again: {stored.fetching(folder)}, or remove the speaker from actors"
            raise CfnsrError(folder, problem, remedy)
        known = {row["clip"]: row for row in rows}
        index += [{**known.get(clip, {"clip": clip}), "skipped": reason} for clip, reason in skipped.items()]
        schema = _COLUMNS.with_metadata({_LIBRARIES: json.dumps(libraries.versions())})
        pq.write_table(pa.Table.from_pylist(index, schema=schema), partial / INDEX, write_page_checksum=True)


def _write_header(file: BinaryIO, name: str, shape: tuple[int, ...]) -> None:
    """Write the header of a ``.npy`` file, whose length does not depend on the number of clips."""
    file.seek(0)
    dtype = np.lib.format.dtype_to_descr(np.dtype(ARRAYS[name].dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})


def _check_sample(where: str, sample: Sample, names: list[str]) -> None:
    if sample.arrays.keys() != set(names):
        raise CfnsrError(
            where,
            f"has the arrays {', '.join(sample.arrays)}, not {', '.join(names)}",
            _AGREE,
        )
    for name, array in sample.arrays.items():
        spec = ARRAYS[name]
        if array.dtype != spec.dtype or array.ndim != len(spec.dimensions):
            expected = f"{np.dtype(spec.dtype)} ({', '.join(spec.dimensions)})"
            problem = f"{name} is {array.dtype} of shape {array.shape} a clip, not {expected}"
            raise CfnsrError(where, problem, _AGREE)


def read(folder: Path, modalities: Collection[str] = BOTH) -> Shard:
    """Open a shard; its arrays are mapped, not loaded.

    Args:
        folder: of the shard.
        modalities: of the corpus; their arrays are read.

    Raises:
        CfnsrError: a file is missing or broken, or index and arrays differ in length.
    """
    from pydantic import TypeAdapter  # extraction's workers use less memory without it

    columns = {field.name: field.type for field in _COLUMNS if field.name in _FILLED}
    rows = stored.read_frame(folder / INDEX, columns, "the index of a shard", unused="skipped")
    arrays = {
        name: stored.read_array(
            folder / f"{name}.npy", spec.dtype, 1 + len(spec.dimensions), f"the array {name} of a shard", mapped=True
        )
        for name, spec in ARRAYS.items()
        if spec.modality in modalities
    }
    with stored.reading(folder / INDEX, "the index of a shard"):
        metadata = pq.read_schema(folder / INDEX).metadata or {}
        made_with = TypeAdapter(dict[str, str]).validate_json(metadata.get(_LIBRARIES, b"{}"))
    used = rows["skipped"].isna()
    skipped = dict(rows.loc[~used, ["clip", "skipped"]].itertuples(index=False, name=None))
    index: Any = rows[used].drop(columns="skipped")
    for name, array in arrays.items():
        if len(array) != len(index) or not array.size:
            problem = f"holds {len(array)} clips of shape {array.shape[1:]}, the index {len(index)}"
            raise CfnsrError(folder / f"{name}.npy", problem, stored.AGAIN)
    return Shard(index, skipped, arrays, made_with)
