"""Fetch RAVDESS's clips from Zenodo, or take them from the user's own folder."""

from __future__ import annotations

import re
from pathlib import Path

from cfnsr.corpora import filenames, licence, unpack
from cfnsr.corpora.ravdess.prepare import record
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError

LICENCE = licence.RAVDESS
NO_CLIPS_REMEDY = "Set fetch.local or fetch.base_url to a source that has them"
# The start of the names of speech clips with video and audio.
SPEECH = rf"{filenames.VIDEO_AND_AUDIO}-{filenames.SPEECH}-\d\d-\d\d-\d\d-\d\d-"


def prepare(actor: str, folder: Path, *, licence_accepted: bool, source: Source, jobs: int) -> None:
    """Write one actor's speech clips that have video and audio.

    Args:
        actor: two digits.
        folder: where the mp4 files go.
        licence_accepted: by the user.
        source: where the archive comes from; the user's own folder ``Actor_NN`` is used instead if it has the clips.
        jobs: not used.

    Raises:
        CfnsrError: the licence is not accepted, or the clips cannot be fetched.
    """
    licence.require("ravdess", LICENCE, accepted=licence_accepted)
    is_speech = re.compile(rf"{SPEECH}{re.escape(actor)}\.mp4").fullmatch
    # The user's folder of that name may hold songs, or audio only.
    paths = source.user_files(f"Actor_{actor}", is_speech)
    source.take(paths, folder)
    if not paths:
        with source.archive(record.archive(f"Video_Speech_Actor_{actor}.zip", source)) as path:
            unpack.unpack(path, folder, lambda name: is_speech(name) is not None)
    if not any(folder.iterdir()):
        raise CfnsrError(f"actor {actor}", "there is no speech clip with video and audio", NO_CLIPS_REMEDY)
