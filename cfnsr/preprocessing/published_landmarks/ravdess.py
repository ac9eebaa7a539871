"""OpenFace's tracking of RAVDESS, 2,452 CSV files in one archive: that of the 1,440 speech clips -> 24 Parquet files.

Swanson, Livingstone and Russo, "RAVDESS Facial Landmark Tracking", Zenodo 2019.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from joblib import Parallel, delayed

from cfnsr.corpora import disk, unpack
from cfnsr.corpora.ravdess import SPEECH, record, refuse_unless
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks as tracks
from cfnsr.preprocessing.landmarks import Track, openface
from cfnsr.runtime import progress

_NAME = "FacialTracking_Actors_01-24"


def landmarks(folder: Path, *, licence_accepted: bool, source: Source, jobs: int) -> None:
    """Get the tracking that was published apart from the clips: one Parquet file an actor, all actors.

    Args:
        folder: where the files go; a clip whose tracking cannot be read stands there with the reason.
        licence_accepted: by the user.
        source: where the archive comes from; a folder of its name, of the user's own, will do.
        jobs: clips at a time; 0 takes every core.
    """
    refuse_unless(licence_accepted)
    wanted = re.compile(rf"{SPEECH}\d\d\.csv").fullmatch
    own = source.own(_NAME)
    if own is not None:
        paths = [path for path in sorted(own.rglob("*.csv")) if wanted(path.name)]
        twice = {path.name for path in paths if [one.name for one in paths].count(path.name) > 1}
        if twice:
            raise CfnsrError(own, f"holds {', '.join(sorted(twice)[:3])} twice", "Remove one of each")
        _convert({path.name: path.read_bytes for path in paths}, own, folder, jobs)
        return
    with source.archive(record.archive(f"{_NAME}.zip", source)) as path, unpack.opened(path) as file:
        entries = unpack.chosen(file, lambda name: wanted(name) is not None)
        _convert({name: partial(unpack.read, file, entry) for name, entry in entries.items()}, path, folder, jobs)


def _convert(tables: dict[str, Callable[[], bytes]], place: Path, folder: Path, jobs: int) -> None:
    """CSV files, by name -> one Parquet file an actor."""

    def read(name: str) -> Track | str:
        table = tables[name]()
        try:
            return openface.parse(table, Path(name))
        except CfnsrError as error:
            return error.problem

    if not tables:
        raise CfnsrError(place, "there is no tracking of a speech clip", "Name another source")
    by_actor: defaultdict[str, list[str]] = defaultdict(list)
    for name in tables:
        by_actor[Path(name).stem[-2:]].append(name)
    with progress.bar("tracking") as advance, Parallel(n_jobs=jobs or -1, backend="threading") as threads:
        for actor, names in sorted(by_actor.items()):
            found: dict[str, Track] = {}
            refused: dict[str, str] = {}
            for name, track in zip(names, threads(delayed(read)(name) for name in names), strict=True):
                if isinstance(track, Track):
                    found[Path(name).stem] = track
                else:
                    refused[Path(name).stem] = str(track)
                advance(len(tables))
            with disk.room(folder, 0):
                tracks.write(folder / f"{actor}.parquet", found, refused)
