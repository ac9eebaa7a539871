"""Take EmoDB's clips from the user's own folder."""

from __future__ import annotations

from pathlib import Path

from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError


def prepare(actor: str, folder: Path, *, source: Source, jobs: int) -> None:
    """Link or copy one actor's clips; nothing is fetched.

    Args:
        actor: two digits.
        folder: where the wav files go.
        source: ``source.local`` is the unpacked corpus, or its folder wav.
        jobs: not used.

    Raises:
        CfnsrError: there is no clip of the actor.
    """
    own = source.user_folder("wav") or source.user_folder(".")
    paths = [] if own is None else sorted(own.glob(f"{actor}*.wav"))
    if not paths:
        problem = f"there is no clip of actor {actor} in {own}" if own else "EmoDB is not fetched for you"
        remedy = "Unpack EmoDB (docs/corpora.md says where it is) and set fetch.local to its folder"
        raise CfnsrError("fetch.local", problem, remedy)
    source.take(paths, folder)
