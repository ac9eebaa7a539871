"""Take one speaker's videos from a folder of the user, as listed in a labels file."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from cfnsr.corpora.filenames import LABELS_FILE, MEDIA_SUFFIXES
from cfnsr.corpora.folder.prepare import labels_file
from cfnsr.corpora.link_or_copy import link_or_copy
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from cfnsr.runtime.checksum import md5


def prepare(
    actor: str, folder: Path, *, videos: str, sheet: str, sheet_md5: str, labels: list[str], source: Source, jobs: int
) -> None:
    """Link or copy one speaker's videos, and OpenFace's CSV files beside them if there are any.

    Args:
        actor: the speaker, as in the labels file.
        folder: where the files go.
        videos: the user's folder.
        sheet: the labels file, see ``labels_file.read``.
        sheet_md5: md5 of the labels file when `cfnsr folder` read it; in params.yaml, so that DVC sees a change.
        labels: the emotions.
        source, jobs: not used.

    Raises:
        CfnsrError: the labels file has changed, cannot be read, lacks the speaker, or lists a missing file.
    """
    entries = labels_file.read(Path(sheet))
    if md5(Path(sheet)) != sheet_md5:
        raise CfnsrError(sheet, "has changed since `cfnsr folder` read it", "Run `cfnsr folder VIDEOS LABELS` again")
    entries = [entry for entry in entries if entry.speaker == actor]
    if not entries:
        problem = f"has no row of speaker {actor}"
        raise CfnsrError(sheet, problem, "Add the speaker's clips, or remove the speaker from actors")
    rows = []
    for entry in entries:
        path = Path(videos) / entry.file
        if entry.label not in labels:
            problem = f"{entry.file} has the label {entry.label!r}"
            raise CfnsrError(sheet, problem, f"Use a label of corpora.folder.labels: {', '.join(labels)}")
        if not path.is_file():
            raise CfnsrError(path, f"is missing, but {sheet} lists it", "Add the file, or remove the row")
        if path.suffix.lower() not in MEDIA_SUFFIXES:
            problem = "is not the name of a video or of a file of sound"
            raise CfnsrError(path, problem, f"Use a file with one of {' '.join(sorted(MEDIA_SUFFIXES))}")
        link_or_copy(path, folder / path.name)
        landmarks = path.with_suffix(".csv")
        if landmarks.is_file():
            link_or_copy(landmarks, folder / landmarks.name)
        rows.append({"file": PurePosixPath(entry.file).name, "label": entry.label, "speaker": entry.speaker})
    pq.write_table(pa.Table.from_pylist(sorted(rows, key=itemgetter("file"))), folder / LABELS_FILE)
