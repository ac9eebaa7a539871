"""Find the files that a labels file names, and the landmarks that belong to them; compare files of a shard."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.errors import CfnsrError
from cfnsr.runtime.checksum import md5

_LANDMARKS = ".csv"
_PROCESSED = "processed"  # the folder that OpenFace writes to


class Files:
    """The files of a folder and of the folders within.

    Args:
        folder: the user's folder of videos.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: set[str] = set()
        seen: set[str] = set()  # links may lead in circles
        for parent, folders, names in os.walk(folder, followlinks=True):
            real = os.path.realpath(parent)
            folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
            if real in seen:
                continue
            seen.add(real)
            here = Path(parent).relative_to(folder)
            self._paths |= {(here / name).as_posix() for name in names}
        self._whole: dict[str, list[str]] = defaultdict(list)
        self._without_ending: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            self._whole[_plain(path)].append(path)
            self._without_ending[_plain(str(PurePosixPath(path).with_suffix("")))].append(path)

    def find(self, name: str, usual: Collection[str]) -> list[str]:
        """Return the paths that a name may mean, within the folder: one if it is clear, none if there is no file.

        A name may have backslashes, another case or Unicode form, no ending, or begin with the folder's own path.

        Args:
            name: as somebody wrote it.
            usual: endings that are looked for first, if the name has none.
        """
        name = name.replace("\\", "/")
        if name.startswith("/"):
            name = name.removeprefix(f"{self._folder.resolve().as_posix()}/")
        within = not name.startswith("/") and ".." not in PurePosixPath(name).parts
        if within and self._is_file(name):
            return [str(PurePosixPath(name))]
        key = _plain(str(PurePosixPath(name)))
        if key in self._whole:
            return self._whole[key]
        paths = self._without_ending.get(key, [])
        first = [path for path in paths if PurePosixPath(path).suffix.lower() in usual]
        return first or [path for path in paths if PurePosixPath(path).suffix.lower() != _LANDMARKS]

    def _is_file(self, name: str) -> bool:
        try:
            return (self._folder / name).is_file()
        except OSError:  # too long a name
            return False

    def surplus(self, videos: Collection[str], sounds: Collection[str]) -> list[str]:
        """Return the files that are not named, of the kinds of the videos: with the same endings."""
        endings = {PurePosixPath(path).suffix.lower() for path in videos}
        return sorted(
            path for path in self._paths - {*videos, *sounds} if PurePosixPath(path).suffix.lower() in endings
        )

    def landmarks(self, path: str) -> str:
        """Return OpenFace's CSV file of a video, beside it or in ``processed``; empty if there is none."""
        beside = PurePosixPath(path).with_suffix(_LANDMARKS)
        within = PurePosixPath(_PROCESSED, beside.name)
        places = [str(place) for place in (beside, beside.parent / within, within)]
        return next((place for place in places if place in self._paths and self._has_points(place)), "")

    def _has_points(self, path: str) -> bool:
        try:
            with (self._folder / path).open("rb") as file:
                return b"x_0" in file.readline()
        except OSError:  # a broken link, or a file that may not be read: as if it were not there
            return False


def check_shards(folder: Path, entries: Sequence[Entry], where: object) -> None:
    """Check that speakers of one shard share no recording; the stage `check` compares those of different shards.

    Only files of the same size are read.

    Args:
        folder: the user's folder of videos.
        entries: the usable clips; their speakers are shards.
        where: the labels file, for the error.

    Raises:
        CfnsrError: a recording, or the same part of it, has two speakers.
    """
    alike: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        sizes = [(folder / file).stat().st_size for file in (entry.file, entry.audio) if file]
        alike[entry.speaker, entry.start_s, entry.end_s, entry.face, *sizes].append(entry)
    digest = functools.cache(md5)  # many clips may be parts of one file
    for clips in alike.values():
        if len({clip.written_speaker for clip in clips}) == 1:
            continue
        first: dict[tuple[str, ...], Entry] = {}
        for clip in clips:
            content = tuple(digest(folder / file) for file in (clip.file, clip.audio) if file)
            other = first.setdefault(content, clip)
            if other.written_speaker != clip.written_speaker:
                problem = (
                    f"clip {clip.clip} of speaker {clip.written_speaker} is the same file as {other.clip} of "
                    f"{other.written_speaker}"
                )
                raise CfnsrError(where, problem, "Remove one of them")


def _plain(path: str) -> str:
    """Return what paths have in common that differ in case or in Unicode form alone."""
    return unicodedata.normalize("NFC", path).casefold()
