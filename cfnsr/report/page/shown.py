"""What of the clips the page may show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cfnsr.data import shards
from cfnsr.data.manifest import Manifest
from cfnsr.data.shards import Shard
from cfnsr.report.page import pictures
from cfnsr.report.page.cases import Case, Opinion


@dataclass(frozen=True)
class ShownCase:
    """A case with its pictures' keys in ``Shown.pictures``; none where there is no such picture."""

    actor: str
    clip: str
    label: str
    opinions: tuple[Opinion, ...]
    faces: str | None
    voice: str
    attention: str | None


@dataclass
class Shown:
    """The shards, and the pictures drawn from them so far.

    Attributes:
        folder: of the shards, one a speaker.
        speakers: those of the run.
        faces: whether faces may be shown.
        pictures: ``data:`` addresses, by what they show.
    """

    folder: Path
    speakers: list[str]
    faces: bool
    pictures: dict[str, str] = field(default_factory=dict)
    _open: dict[str, Shard] = field(default_factory=dict)

    def case(self, system: str, one: Case) -> ShownCase:
        """Draw what belongs to a case; a clip's own pictures are drawn once for all systems."""
        shard = self._shard(one.actor)
        row = shard.index["clip"].tolist().index(one.clip)
        key, frames = f"{one.actor}/{one.clip}", np.asarray(shard.frames[row]) if self.faces else None
        voice = self._drawn(f"voice {key}", lambda: pictures.voice(shard.mel[row]))
        faces = None if frames is None else self._drawn(f"faces {key}", lambda: pictures.faces(frames))
        attended = one.attention
        attention = (
            None
            if attended is None
            else self._drawn(f"attention {system} {key}", lambda: pictures.attention(attended, frames))
        )
        return ShownCase(one.actor, one.clip, one.label, one.opinions, faces, voice, attention)

    def card(self, manifest: Manifest) -> list[tuple[str, str]]:
        """What the data are: names and values."""
        durations = np.concatenate([self._shard(actor).index["duration_s"].to_numpy() for actor in self.speakers])
        padded = np.concatenate([self._shard(actor).index["padded_s"].to_numpy() for actor in self.speakers])
        frames, mel = manifest.shapes["frames"], manifest.shapes["mel"]
        return [
            ("Corpus", manifest.corpus),
            ("Clips", f"{len(durations):,} of {len(self.speakers)} speakers"),
            ("Emotions", ", ".join(manifest.labels)),
            ("Duration", f"{durations.sum() / 60:.1f} min; a clip {durations.min():.2f} to {durations.max():.2f} s"),
            ("Skipped", f"{len(manifest.skipped):,} clips"),
            ("Padded with silence", f"{(padded > 0).sum():,} clips, by {padded.max():.2f} s at most"),
            ("Face", f"{frames[0]} frames of {frames[2]} x {frames[1]} px"),
            ("Voice", f"{mel[0]} mel bands, {manifest.shapes['mfcc'][0]} MFCC, {mel[1]} steps"),
        ]

    def _shard(self, actor: str) -> Shard:
        if actor not in self._open:
            self._open[actor] = shards.read(self.folder / actor)
        return self._open[actor]

    def _drawn(self, key: str, draw: Callable[[], str]) -> str:
        if key not in self.pictures:
            self.pictures[key] = draw()
        return key
