"""OpenFace's tracking of RAVDESS, 2,452 CSV files in one archive: that of the 1,440 speech clips -> 24 Parquet files.

Swanson, Livingstone and Russo, "RAVDESS Facial Landmark Tracking", Zenodo 2019.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import cast

from joblib import Parallel, delayed

from cfnsr import landmarks as tracks
from cfnsr import progress, unpack
from cfnsr.bad_clips import BadClips
from cfnsr.corpora.ravdess import SPEECH, record, refuse_unless
from cfnsr.errors import CfnsrError
from cfnsr.landmarks import Track, openface
from cfnsr.source import Source

_NAME = "FacialTracking_Actors_01-24"


def landmarks(folder: Path, *, licence_accepted: bool, source: Source, jobs: int, bad: BadClips) -> None:
    """Get the tracking that was published apart from the clips: one Parquet file an actor, all actors.

    Args:
        folder: where the files go.
        licence_accepted: by the user.
        source: where the archive comes from; a folder of its name, of the user's own, will do.
        jobs: clips at a time; 0 takes every core.
        bad: is told of clips whose tracking cannot be read.
    """
    refuse_unless(licence_accepted)
    wanted = re.compile(rf"{SPEECH}\d\d\.csv").fullmatch
    own = source.own(_NAME)
    if own is not None:
        paths = {path.name: path for path in sorted(own.rglob("*.csv")) if wanted(path.name)}
        _convert({name: path.read_bytes for name, path in paths.items()}, own, folder, jobs, bad)
        return
    with source.archive(record.archive(f"{_NAME}.zip", source)) as path, unpack.opened(path) as file:
        entries = unpack.chosen(file, lambda name: wanted(name) is not None)
        reads = {name: lambda entry=entry: file.read(entry) for name, entry in entries.items()}
        _convert(reads, path, folder, jobs, bad)


def _convert(tables: dict[str, Callable[[], bytes]], place: Path, folder: Path, jobs: int, bad: BadClips) -> None:
    """CSV files, by name -> one Parquet file an actor."""

    def read(name: str, table: Callable[[], bytes]) -> Track | CfnsrError:
        try:
            return openface.parse(table(), place / name)
        except CfnsrError as error:  # told in the files' order, not in the threads'
            return error

    if not tables:
        raise CfnsrError(place, "there is no tracking of a speech clip", "Name another source")
    by_actor: defaultdict[str, list[str]] = defaultdict(list)
    for name in tables:
        by_actor[Path(name).stem[-2:]].append(name)
    with progress.bar("tracking") as advance, Parallel(n_jobs=jobs or -1, backend="threading") as threads:
        for actor, names in sorted(by_actor.items()):
            found: dict[str, Track] = {}
            read_all = cast("list[Track | CfnsrError]", threads(delayed(read)(name, tables[name]) for name in names))
            for name, track in zip(names, read_all, strict=True):
                if isinstance(track, CfnsrError):
                    bad.meet(Path(name).stem, track)
                else:
                    found[Path(name).stem] = track
                advance(len(tables))
            tracks.write(folder / f"{actor}.parquet", found)
