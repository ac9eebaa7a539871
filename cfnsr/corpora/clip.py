"""A clip of a corpus, and how a folder of clips is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cfnsr.corpora import filenames
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips


@dataclass(frozen=True)
class Clip:
    """One recorded utterance of one speaker.

    Attributes:
        id: unique within the corpus; names the clip in every table.
        path: the video.
        actor: the speaker, as params.yaml names him or her: ``"04"``.
        label: the emotion's name, one of the corpus's ``labels``.
        intensity: ``"normal"`` or ``"strong"``; empty where the corpus does not say.
        statement: which sentence was spoken, from 1; 0 where the corpus does not say.
        repetition: which take of it, from 1; 0 where the corpus does not say.
    """

    id: str
    path: Path
    actor: str
    label: str
    intensity: str = ""
    statement: int = 0
    repetition: int = 0

    @classmethod
    def from_filename(cls, path: Path) -> Clip:
        """Describe a clip by its RAVDESS file name.

        Raises:
            CfnsrError: the name does not follow RAVDESS's pattern.
        """
        take, actor = filenames.parse(path)
        return cls(path.stem, path, actor, *take)


def videos(folder: Path) -> list[Path]:
    """List the videos in a folder, sorted by name.

    Raises:
        CfnsrError: there is none.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in filenames.VIDEO_SUFFIXES)
    if not paths:
        raise CfnsrError(folder, "holds no video", "Run the download stage of this speaker again")
    return paths


def describe(folder: Path, bad: BadClips, describe_clip: Callable[[Path], Clip] = Clip.from_filename) -> list[Clip]:
    """Describe every clip in one speaker's folder, sorted by name.

    Args:
        folder: of one speaker's videos.
        bad: receives the clips that ``describe_clip`` raises an error for.
        describe_clip: reads label and speaker from a path.
    """
    clips = []
    for path in videos(folder):
        with bad.guard(path.stem):
            clips.append(describe_clip(path))
    return clips
