"""Fetch RAVDESS's speech as sound alone from Zenodo, or take it from the user's own folder."""

from __future__ import annotations

import re
from pathlib import Path

from cfnsr.corpora import filenames, licence, unpack
from cfnsr.corpora.download import Archive
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError

LICENCE = licence.RAVDESS
# All 24 actors; size and md5 as several projects state them.
NAME, SIZE, MD5 = "Audio_Speech_Actors_01-24.zip", 208_468_073, "bc696df654c87fed845eb13823edef8a"
# OpenFace's tracking of the videos of the same recordings, with action units.
TRACKING, TRACKING_SIZE, TRACKING_MD5 = (
    "FacialTracking_Actors_01-24.zip",
    417_163_019,
    "5753bbc64a9a790f8a8d3e03cba526ee",
)
_RECORDS = {NAME: 1188976, TRACKING: 3255102}
# The start of the names of speech clips with audio alone.
_SPEECH = rf"{filenames.SPEECH}-\d\d-\d\d-\d\d-\d\d-"
_AUDIO_ALONE = "03"


def prepare(actor: str, folder: Path, *, licence_accepted: bool, tracking: bool, source: Source, jobs: int) -> None:
    """Write one actor's speech clips.

    Args:
        actor: two digits.
        folder: where the wav files go.
        licence_accepted: by the user.
        tracking: whether to put OpenFace's CSV file of the video beside each wav file, under the wav file's name.
        source: where the archive comes from; the user's own folder ``Actor_NN`` is used instead if it has the clips.
            The fetched archive stays in ``source.partial`` for the other actors.
        jobs: not used.

    Raises:
        CfnsrError: the licence is not accepted, or the clips cannot be fetched.
    """
    licence.require("ravdess_speech", LICENCE, accepted=licence_accepted)
    is_speech = re.compile(rf"{_AUDIO_ALONE}-{_SPEECH}{re.escape(actor)}\.wav").fullmatch
    paths = source.user_files(f"Actor_{actor}", is_speech)
    source.take(paths, folder)
    if not paths:
        with source.archive(_archive(NAME, SIZE, MD5, source), keep=True) as path:
            unpack.unpack(path, folder, lambda name: is_speech(name) is not None)
    if not any(folder.iterdir()):
        problem = "there is no speech clip with audio alone"
        raise CfnsrError(f"actor {actor}", problem, "Set fetch.local or fetch.base_url to a source that has them")
    if tracking:
        _take_tracking(actor, folder, source)


def _take_tracking(actor: str, folder: Path, source: Source) -> None:
    is_speech = re.compile(rf"{filenames.VIDEO_AND_AUDIO}-{_SPEECH}{re.escape(actor)}\.csv").fullmatch
    user_folder = source.user_folder(Path(TRACKING).stem)
    if user_folder is not None:
        source.take((path for path in sorted(user_folder.rglob("*.csv")) if is_speech(path.name)), folder)
    else:
        with source.archive(_archive(TRACKING, TRACKING_SIZE, TRACKING_MD5, source), keep=True) as path:
            unpack.unpack(path, folder, lambda name: is_speech(name) is not None)
    for path in folder.glob("*.csv"):
        path.rename(folder / f"{_AUDIO_ALONE}{path.name[2:]}")


def _archive(name: str, size: int, md5: str, source: Source) -> Archive:
    return Archive(name, f"{source.base_url}/records/{_RECORDS[name]}/files/{name}?download=1", size, md5)
