"""The table that `cfnsr folder` writes: one row a clip, with all that it read and measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.checksum import md5

_SOURCES = b"labels_files"  # key in the metadata of the table: by path, the md5 of the files that were read
_CONTENT = "the table that `cfnsr folder` wrote"
_AGAIN = "Run `cfnsr folder VIDEOS LABELS` again"


@dataclass(frozen=True)
class Entry:
    """One clip of the labels file.

    Attributes:
        clip: its id.
        file: the video's path within the folder of videos, or what the labels file calls it if there is none.
        label, speaker: names of letters, digits and underscores; the speaker may be a shard of several (`--shards`).
        written_label, written_speaker: label and speaker as the labels file has them.
        group: clips of one group are never split over folds; empty if the labels file does not say.
        fold: that the labels file wants; empty if it does not say.
        landmarks: OpenFace's CSV file, as ``file``; empty if there is none.
        audio: the file of its sound, as ``file``; empty if ``file`` has the sound.
        start_s, end_s, face: see ``Clip``; ``end_s`` is None where the file ends.
        problem: why the clip cannot be used; empty if it can.
    """

    clip: str
    file: str
    label: str
    speaker: str
    written_label: str = ""
    written_speaker: str = ""
    group: str = ""
    fold: str = ""
    landmarks: str = ""
    audio: str = ""
    start_s: float = 0.0
    end_s: float | None = None
    face: str = "longest"
    problem: str = ""


def write(path: Path, entries: Sequence[Entry], measured: pa.Table, labels_files: Sequence[Path]) -> None:
    """Write the table.

    Args:
        path: the file.
        entries: the clips.
        measured: further columns, in the order of the clips.
        labels_files: the labels file and the map of labels, for ``check``.
    """
    table = pa.Table.from_pylist([asdict(entry) for entry in entries])
    for name in measured.column_names:
        table = table.append_column(name, measured[name])
    sources = {str(source.resolve()): md5(source) for source in labels_files}
    pq.write_table(table.replace_schema_metadata({_SOURCES: json.dumps(sources)}), path)


def check(path: Path, expected_md5: str) -> None:
    """Compare the table, the labels file and the map of labels with what they were when the table was written.

    A labels file or map that is not there is not compared: the data may have been pulled to another machine.

    Args:
        path: of the table.
        expected_md5: of the table, in params.yaml.

    Raises:
        CfnsrError: the table is missing, or one of them has changed, so that clips may have other labels or speakers
            than the pipeline was run with.
    """
    with stored.reading(path, _CONTENT, _AGAIN):
        actual_md5 = md5(path)
    if actual_md5 != expected_md5:
        raise CfnsrError(path, "is not the table that params.yaml was written with", _AGAIN)
    with stored.reading(path, _CONTENT, _AGAIN):
        sources = (pq.read_schema(path).metadata or {}).get(_SOURCES, b"{}")
        known_sources = TypeAdapter(dict[str, str]).validate_json(sources)
    for name, known in known_sources.items():
        if Path(name).is_file() and md5(Path(name)) != known:
            raise CfnsrError(name, "has changed since `cfnsr folder` read it", _AGAIN)


def read(path: Path, expected_md5: str) -> list[Entry]:
    """Read the clips of the table.

    Raises:
        CfnsrError: see ``check``; or it cannot be read.
    """
    check(path, expected_md5)
    columns = [field.name for field in fields(Entry)]
    with stored.reading(path, _CONTENT, _AGAIN):
        return TypeAdapter(list[Entry]).validate_python(pq.read_table(path, columns=columns).to_pylist())
