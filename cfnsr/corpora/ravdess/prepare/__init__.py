"""Fetch RAVDESS's clips from Zenodo, or take them from a folder of the user's own."""

from __future__ import annotations

import re
from pathlib import Path

from cfnsr.corpora import filenames, unpack
from cfnsr.corpora.download import Source
from cfnsr.corpora.link_or_copy import link_or_copy
from cfnsr.corpora.ravdess.prepare import record
from cfnsr.errors import CfnsrError

LICENCE = """RAVDESS is under Creative Commons BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/):
name its authors, Livingstone and Russo (2018); no commercial use; share what you make of it under the same licence"""

# How the names of speech clips with face and voice begin.
SPEECH = rf"{filenames.FACE_AND_VOICE}-{filenames.SPEECH}-\d\d-\d\d-\d\d-\d\d-"


def prepare(actor: str, folder: Path, *, licence_accepted: bool, source: Source, jobs: int) -> None:
    """Get one actor's speech clips that have face and voice.

    Args:
        actor: two digits.
        folder: where the mp4 files go.
        licence_accepted: by the user.
        source: where the archive comes from; a folder ``Actor_NN`` of the user's own will do.
        jobs: not used.

    Raises:
        CfnsrError: the licence is not accepted, or the clips cannot be had whole.
    """
    require_licence(licence_accepted)
    is_speech = re.compile(rf"{SPEECH}{re.escape(actor)}\.mp4").fullmatch
    own = source.own_folder(f"Actor_{actor}")
    # A folder of that name may hold the songs, or the voices alone.
    paths = [] if own is None else [path for path in sorted(own.iterdir()) if is_speech(path.name)]
    for path in paths:
        link_or_copy(path, folder / path.name)
    if not paths:
        with source.archive(record.archive(f"Video_Speech_Actor_{actor}.zip", source)) as path:
            unpack.unpack(path, folder, lambda name: is_speech(name) is not None)
    if not any(folder.iterdir()):
        raise CfnsrError(f"actor {actor}", "there is no speech clip with face and voice", "Name another source")


def require_licence(accepted: bool) -> None:
    """Raise ``CfnsrError``, with the licence in it, unless the user has accepted it."""
    if not accepted:
        raise CfnsrError(
            "corpora.ravdess.licence_accepted", LICENCE, "To accept it: cfnsr preset ravdess --accept-licence"
        )
