"""RAVDESS: 24 actors speak two sentences with eight emotions, on video.

Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE 2018; the tracking
by Swanson, Livingstone and Russo, 2019. Both on Zenodo, under CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from cfnsr.corpora import described, filenames, unpack
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import INTENSITIES, LABELS
from cfnsr.corpora.link_or_copy import place
from cfnsr.corpora.ravdess import record
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips

LICENCE = """RAVDESS is under Creative Commons BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/):
name its authors, Livingstone and Russo (2018); no commercial use; share what you make of it under the same licence"""

_TAKES = 4  # two sentences, twice each
SPEECH = rf"{filenames.FACE_AND_VOICE}-{filenames.SPEECH}-\d\d-\d\d-\d\d-\d\d-"  # how the names of such clips begin


def labels(**_: object) -> list[str]:
    """The emotions, in the order of their class index."""
    return list(LABELS)


def expected(actor: str, **_: object) -> Counter[str]:
    """How many clips of each emotion an actor has: there is no strong neutral."""
    return Counter({label: _TAKES * (1 if label == "neutral" else len(INTENSITIES)) for label in LABELS})


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """The clips of one actor's folder, described by their names."""
    return described(folder, bad, filenames.parse)


def prepare(actor: str, folder: Path, *, licence_accepted: bool, source: Source, jobs: int) -> None:
    """Get one actor's speech clips that have face and voice.

    Args:
        actor: two digits.
        folder: where the mp4 files go.
        licence_accepted: by the user.
        source: where the archive comes from; a folder ``Actor_NN`` of the user's own will do.
        jobs: has no use here.

    Raises:
        CfnsrError: the licence is not accepted, or the clips cannot be had whole.
    """
    refuse_unless(licence_accepted)
    wanted = re.compile(rf"{SPEECH}{re.escape(actor)}\.mp4").fullmatch
    own = source.own(f"Actor_{actor}")
    # A folder of that name may hold the songs, or the voices alone.
    clips = [] if own is None else [path for path in sorted(own.iterdir()) if wanted(path.name)]
    for path in clips:
        place(path, folder / path.name)
    if not clips:
        archive = record.archive(f"Video_Speech_Actor_{actor}.zip", source)
        with source.archive(archive) as path:
            unpack.unpack(path, folder, lambda name: wanted(name) is not None)
    if not any(folder.iterdir()):
        raise CfnsrError(f"actor {actor}", "there is no speech clip with face and voice", "Name another source")


def refuse_unless(licence_accepted: bool) -> None:
    """Raise ``CfnsrError``, with the licence in it, unless the user has accepted it."""
    if not licence_accepted:
        raise CfnsrError(
            "corpora.ravdess.licence_accepted", LICENCE, "To accept it: cfnsr preset ravdess --accept-licence"
        )
