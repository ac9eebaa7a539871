"""Fetch RAVDESS's clips from Zenodo, or take them from the user's own folder."""

from __future__ import annotations

import re
from pathlib import Path

from cfnsr.corpora import filenames, unpack
from cfnsr.corpora.link_or_copy import link_or_copy
from cfnsr.corpora.ravdess.prepare import record
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError

LICENCE = """RAVDESS is under Creative Commons BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/):
cite its authors, Livingstone and Russo (2018); no commercial use; share what you make of it under the same licence"""

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
    require_licence(licence_accepted)
    is_speech = re.compile(rf"{SPEECH}{re.escape(actor)}\.mp4").fullmatch
    user_folder = source.user_folder(f"Actor_{actor}")
    # The user's folder of that name may hold songs, or audio only.
    paths = [] if user_folder is None else [path for path in sorted(user_folder.iterdir()) if is_speech(path.name)]
    for path in paths:
        link_or_copy(path, folder / path.name, hard_link=source.hard_links)
    if not paths:
        with source.archive(record.archive(f"Video_Speech_Actor_{actor}.zip", source)) as path:
            unpack.unpack(path, folder, lambda name: is_speech(name) is not None)
    if not any(folder.iterdir()):
        raise CfnsrError(f"actor {actor}", "there is no speech clip with video and audio", NO_CLIPS_REMEDY)


def require_licence(accepted: bool) -> None:
    """Raise an error that states the licence, unless the user has accepted it.

    Raises:
        CfnsrError: the licence is not accepted.
    """
    if not accepted:
        remedy = "To accept it: cfnsr preset ravdess --accept-licence"
        raise CfnsrError("corpora.ravdess.licence_accepted", LICENCE, remedy)
