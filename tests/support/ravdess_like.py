"""Archives like those of RAVDESS, small: real clips, OpenFace's tracking, and everything else that lies beside them."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cfnsr.corpora import filenames
from cfnsr.corpora.studio.prepare import openface
from tests.support.media import numbered

FRAMES, WIDTH, HEIGHT = 12, 96, 64
RECORDS = {"Video": "1188976", "Facial": "3255102"}


@dataclass
class Corpus:
    """Archives by name, and what the table of them must say."""

    archives: dict[str, bytes]

    def paths(self) -> dict[str, bytes]:
        """What a server must have, by path."""
        return {f"/records/{record_of(name)}/files/{name}": content for name, content in self.archives.items()}

    def table(self) -> str:
        """The pinned table, ``files.tsv``."""
        rows = [f"{record_of(name)}\t{name}\t{len(one)}\t{md5(one)}" for name, one in self.archives.items()]
        return "\n".join(["record\tname\tbytes\tmd5", *rows]) + "\n"


def record_of(name: str) -> str:
    return RECORDS["Facial" if name.startswith("Facial") else "Video"]


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def stems(actor: str) -> list[str]:
    """Name the sixty speech clips of an actor."""
    return [filenames.stem(take, actor) for take in filenames.takes((1, 2), 2, filenames.INTENSITIES)]


def made(folder: Path, actors: list[str]) -> Corpus:
    """The archives of some actors, and the tracking of all clips of theirs."""
    clip = numbered(folder / "clip.mp4", frames=FRAMES, width=WIDTH, height=HEIGHT, sound_s=0.6).read_bytes()
    corners = np.resize(np.array([(38.0, 22.0), (58.0, 22.0), (58.0, 42.0), (38.0, 42.0)]), (68, 2))
    points = np.tile(corners, (FRAMES, 1, 1)) + np.random.default_rng(0).normal(0, 0.1, (FRAMES, 68, 2))
    openface.write(folder / "clip.csv", points, 0.93, 29.97)
    tracking = (folder / "clip.csv").read_bytes()
    archives = {}
    for actor in actors:
        files = {f"Actor_{actor}/{stem}.mp4": marked(clip, stem) for stem in stems(actor)}
        files |= {f"Actor_{actor}/02{stem[2:]}.mp4": b"no sound, not used" for stem in stems(actor)[:3]}
        archives[f"Video_Speech_Actor_{actor}.zip"] = zipped(files)
    tables = {f"{stem}.csv": tracking for actor in actors for stem in stems(actor)}
    songs = {f"01-02{stem[5:]}.csv": b"song, not used" for actor in actors for stem in stems(actor)[:2]}
    archives["FacialTracking_Actors_01-24.zip"] = zipped(tables | songs)
    return Corpus(archives)


def marked(clip: bytes, text: str) -> bytes:
    """The same clip as another file: with a box of free text behind it, which players skip."""
    return clip + struct.pack(">I", 8 + len(text)) + b"free" + text.encode()


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()
