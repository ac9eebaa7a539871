"""OpenFace's landmarks of RAVDESS: those of the 1,440 speech clips, from an archive of 2,452 CSV files.

Swanson, Livingstone and Russo, "RAVDESS Facial Landmark Tracking", Zenodo 2019.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from joblib import Parallel, delayed

from cfnsr.corpora import licence, unpack
from cfnsr.corpora.link_or_copy import disk_space
from cfnsr.corpora.ravdess.prepare import LICENCE, NO_CLIPS_REMEDY, SPEECH, record
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks, openface_csv
from cfnsr.preprocessing.landmarks import Landmarks
from cfnsr.runtime import progress

_NAME = "FacialTracking_Actors_01-24"


def fetch(folder: Path, *, licence_accepted: bool, source: Source, jobs: int) -> None:
    """Write one Parquet file an actor, for all actors.

    Args:
        folder: where the files go; a clip whose CSV file cannot be read has one row with the reason.
        licence_accepted: by the user.
        source: where the archive comes from; the user's own folder of its name is used instead.
        jobs: clips at a time; 0 uses every core.

    Raises:
        CfnsrError: the licence is not accepted, or the archive cannot be fetched.
    """
    licence.require("ravdess", LICENCE, accepted=licence_accepted)
    is_speech = re.compile(rf"{SPEECH}\d\d\.csv").fullmatch
    user_folder = source.user_folder(_NAME)
    if user_folder is not None:
        paths = [path for path in sorted(user_folder.rglob("*.csv")) if is_speech(path.name)]
        repeated = [name for name, count in Counter(path.name for path in paths).items() if count > 1]
        if repeated:
            raise CfnsrError(user_folder, f"contains {', '.join(repeated[:3])} twice", "Remove one of each")
        _convert({path.name: path.read_bytes for path in paths}, user_folder, folder, jobs)
        return
    with source.archive(record.archive(f"{_NAME}.zip", source)) as path, unpack.open_archive(path) as file:
        entries = unpack.choose(file, lambda name: is_speech(name) is not None)
        _convert({name: partial(unpack.read, file, entry) for name, entry in entries.items()}, path, folder, jobs)


def _convert(readers: dict[str, Callable[[], bytes]], source: Path, folder: Path, jobs: int) -> None:
    """Write one Parquet file an actor from CSV files; ``readers`` read their bytes, by file name."""

    def parse(name: str) -> Landmarks | str:
        content = readers[name]()
        try:
            return openface_csv.parse(content, Path(name))
        except CfnsrError as error:
            return error.problem

    if not readers:
        raise CfnsrError(source, "there are no landmarks of a speech clip", NO_CLIPS_REMEDY)
    names_of_actor: defaultdict[str, list[str]] = defaultdict(list)
    for name in readers:
        names_of_actor[Path(name).stem[-2:]].append(name)
    with progress.items() as bar, Parallel(n_jobs=jobs or -1, backend="threading") as threads:
        task = bar.add_task("landmarks", total=len(readers))
        for actor, names in sorted(names_of_actor.items()):
            parsed: dict[str, Landmarks] = {}
            skipped: dict[str, str] = {}
            for name, result in zip(names, threads(delayed(parse)(name) for name in names), strict=True):
                if isinstance(result, Landmarks):
                    parsed[Path(name).stem] = result
                else:
                    skipped[Path(name).stem] = str(result)
                bar.advance(task)
            with disk_space(folder, 0):
                landmarks.write(folder / f"{actor}.parquet", parsed, skipped)
