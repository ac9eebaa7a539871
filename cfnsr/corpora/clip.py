"""A clip of a corpus, and the functions that read a folder of clips."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path

from cfnsr.corpora import filenames
from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.checksum import md5

FACES = ("longest", "largest", "left", "right")  # who is kept of several people; the first where nothing is said


@dataclass(frozen=True)
class Clip:
    """One recorded utterance of one speaker: a file, or a part of one.

    Attributes:
        id: unique within the corpus; names the clip in every table.
        path: the video, or a file of sound.
        actor: the speaker, as in params.yaml: ``"04"``.
        label: the emotion's name, one of the corpus's ``labels``.
        intensity: ``"normal"`` or ``"strong"``; empty if the corpus does not say.
        statement: number of the sentence, from 1; 0 if the corpus does not say.
        repetition: number of the sentence's recording, from 1; 0 if the corpus does not say.
        start_s, end_s: of the clip within its file, in seconds from the file's first frame or sample.
        audio: the file of its sound, whose first sample is heard with that of ``path``; None if ``path`` has the sound.
        face: one of ``FACES``.
    """

    id: str
    path: Path
    actor: str
    label: str
    intensity: str = ""
    statement: int = 0
    repetition: int = 0
    start_s: float = 0.0
    end_s: float = inf
    audio: Path | None = None
    face: str = FACES[0]

    @classmethod
    def from_filename(cls, path: Path) -> Clip:
        """Read label and speaker from a clip's RAVDESS file name.

        Raises:
            CfnsrError: the name does not follow RAVDESS's pattern.
        """
        take, actor = filenames.parse(path)
        return cls(path.stem, path, actor, *take)

    def source_md5(self) -> str:
        """Return the md5 of the file; of a part of it, that of all that says what the clip is."""
        source = md5(self.path)
        which = (self.start_s, self.end_s, self.face, md5(self.audio) if self.audio else "")
        if which == (0.0, inf, FACES[0], ""):
            return source
        return hashlib.md5(f"{source} {which}".encode(), usedforsecurity=False).hexdigest()


def describe(folder: Path, bad: BadClips, describe_clip: Callable[[Path], Clip] = Clip.from_filename) -> list[Clip]:
    """Describe every clip in one speaker's folder, sorted by name.

    Args:
        folder: of one speaker's videos, or files of sound.
        bad: handles the clips for which ``describe_clip`` raises an error.
        describe_clip: returns the clip of a path.

    Raises:
        CfnsrError: the folder has no clip.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in filenames.MEDIA_SUFFIXES)
    if not paths:
        raise CfnsrError(folder, "has no clip", f"Fetch them again: {stored.fetching(folder)}")
    clips = []
    for path in paths:
        with bad.guard(path.stem):
            if not path.is_file():
                raise CfnsrError(path, "is no file", "Fetch the clip again, or remove it")
            clips.append(describe_clip(path))
    return clips
