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
_PAGE = "records/1188976/files"
# The start of the names of speech clips with audio alone.
_SPEECH = rf"03-{filenames.SPEECH}-\d\d-\d\d-\d\d-\d\d-"


def prepare(actor: str, folder: Path, *, licence_accepted: bool, source: Source, jobs: int) -> None:
    """Write one actor's speech clips.

    Args:
        actor: two digits.
        folder: where the wav files go.
        licence_accepted: by the user.
        source: where the archive comes from; the user's own folder ``Actor_NN`` is used instead if it has the clips.
            The fetched archive stays in ``source.partial`` for the other actors.
        jobs: not used.

    Raises:
        CfnsrError: the licence is not accepted, or the clips cannot be fetched.
    """
    licence.require("ravdess_speech", LICENCE, accepted=licence_accepted)
    is_speech = re.compile(rf"{_SPEECH}{re.escape(actor)}\.wav").fullmatch
    paths = source.user_files(f"Actor_{actor}", is_speech)
    source.take(paths, folder)
    if not paths:
        archive = Archive(NAME, f"{source.base_url}/{_PAGE}/{NAME}?download=1", SIZE, MD5)
        with source.archive(archive, keep=True) as path:
            unpack.unpack(path, folder, lambda name: is_speech(name) is not None)
    if not any(folder.iterdir()):
        problem = "there is no speech clip with audio alone"
        raise CfnsrError(f"actor {actor}", problem, "Set fetch.local or fetch.base_url to a source that has them")
