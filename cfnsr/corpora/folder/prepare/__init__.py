"""Take one speaker's videos from a folder of the user, as listed in the table that `cfnsr folder` wrote."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from cfnsr.corpora.filenames import LABELS_FILE
from cfnsr.corpora.folder.prepare import intake_file
from cfnsr.corpora.link_or_copy import link_or_copy
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError

_SOUND = "sound"  # folder of the files that clips have their sound from
_MISSING = "is missing in the folder of videos"  # no path: reports show the reason
_PART = ("start_s", "end_s", "face")


def prepare(
    actor: str,
    folder: Path,
    *,
    videos: str,
    intake: str,
    intake_md5: str,
    labels: list[str],
    source: Source,
    **_: object,
) -> None:
    """Copy one speaker's videos, with OpenFace's CSV files and files of sound if there are any, under their clips' ids.

    Clips that cannot be used are listed with the reason, for the stages that read the folder.

    Args:
        actor: the speaker.
        folder: where the files go.
        videos: the user's folder.
        intake: the table that `cfnsr folder` wrote, see ``intake_file``.
        intake_md5: its md5; in params.yaml, so that DVC sees a change.
        labels: the emotions.
        source: says whether the files may be hard-linked.

    Raises:
        CfnsrError: the table has changed, cannot be read, or lacks the speaker.
    """
    entries = [entry for entry in intake_file.read(Path(intake), intake_md5) if entry.speaker == actor]
    if not entries:
        remedy = "Run `cfnsr folder VIDEOS LABELS` again, or remove the speaker from actors"
        raise CfnsrError(intake, f"has no clip of speaker {actor}", remedy)
    rows, names = [], dict[str, str]()  # of the copies, by the user's file: several clips may be parts of one

    def copy(file: str, name: str) -> str:
        if file not in names:
            (folder / name).parent.mkdir(exist_ok=True)
            link_or_copy(Path(videos) / file, folder / name, hard_link=source.hard_links)
        return names.setdefault(file, name)

    for entry in sorted(entries, key=lambda entry: entry.clip):
        if entry.label not in labels:
            problem = f"{entry.file} has the label {entry.label!r}"
            raise CfnsrError(intake, problem, f"Use a label of corpora.folder.labels: {', '.join(labels)}")
        name = entry.clip + PurePosixPath(entry.file).suffix
        sound = f"{_SOUND}/{entry.clip}{PurePosixPath(entry.audio).suffix}" if entry.audio else ""
        problem = entry.problem
        if not problem and not (Path(videos) / entry.file).is_file():
            problem = _MISSING
        if not problem and entry.audio and not (Path(videos) / entry.audio).is_file():
            problem = f"the file of its sound {_MISSING}"
        if not problem:
            name = copy(entry.file, name)
            sound = copy(entry.audio, sound) if sound else ""
        if not problem and entry.landmarks:
            copy(entry.landmarks, str(PurePosixPath(name).with_suffix(".csv")))
        columns = {column: getattr(entry, column) for column in ("clip", "label", "speaker", *_PART)}
        rows.append({**columns, "file": name, "audio": sound, "problem": problem})
    pq.write_table(pa.Table.from_pylist(rows), folder / LABELS_FILE)
