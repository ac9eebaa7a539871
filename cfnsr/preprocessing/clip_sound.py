"""Read the whole of a clip's sound, for encoders that take clips of any length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, media
from cfnsr.preprocessing.container import open_media, pictures
from cfnsr.preprocessing.media import Timeline
from cfnsr.runtime import sources

_SHORTEST_S = 0.1  # every encoder has at least one frame of it
_LONGEST_S = 3600.0


@dataclass(frozen=True)
class ClipSound:
    """Reads the sound of clips as mono, from where it begins to where it ends, or to ``max_s``.

    Attributes:
        rate_hz: sampling rate of the result in Hz.
        max_s: what a clip has after this many seconds is not read.
        where: of ``max_s``, for the error.
        longest_s: that ``max_s`` may be.

    Raises:
        CfnsrError: ``max_s`` is too short or too long.
    """

    rate_hz: int
    max_s: float
    where: str
    longest_s: float = _LONGEST_S

    def __post_init__(self) -> None:
        if not _SHORTEST_S <= self.max_s <= self.longest_s:
            remedy = f"Set max_s to {_SHORTEST_S} to {self.longest_s:g} seconds"
            raise CfnsrError(self.where, f"max_s is {self.max_s}", remedy)

    def read(self, clip: Clip) -> Float32[np.ndarray, " sample"]:
        """Return the samples, -1 to 1 unless channels add up to more, without padding.

        Gaps within the sound are silence.

        Raises:
            CfnsrError: the file cannot be read, or the clip has no sound, too little of it, or only silence.
        """
        path = clip.audio or clip.path
        source = sources.of(path)
        timeline = timeline_of_file(path) if source is None else source.timeline
        if not timeline.tracks:
            raise CfnsrError(path, "has no audio stream that can be decoded", "Remove the clip, or fetch it again")
        start_s = max(clip.start_s, timeline.tracks[0][1])
        samples, padded_s = audio.waveform(
            path, timeline, rate_hz=self.rate_hz, offset_s=start_s, window_s=self.max_s, end_s=clip.end_s
        )
        sounding = np.flatnonzero(samples)
        # Zeros at the end are padding, unless the clip itself is silent there.
        silent = samples.size - (sounding[-1] + 1 if sounding.size else 0)
        samples = samples[: samples.size - min(silent, round(padded_s * self.rate_hz))]
        if samples.size < _SHORTEST_S * self.rate_hz:
            problem = f"has only {samples.size / self.rate_hz:.2f} s of sound"
            raise CfnsrError(path, problem, f"Remove the clip: {_SHORTEST_S} s are needed")
        if samples.min() == samples.max():
            raise CfnsrError(path, "its sound is constant (silent)", "Fetch the clip again, or remove it")
        return samples


def timeline_of_file(path: Path) -> Timeline:
    """Return the times of a file: on the clock of its picture, where it has one.

    Raises:
        CfnsrError: the file cannot be read.
    """
    if path.suffix.lower() == ".wav":  # has no picture, and opening one takes longer than decoding it
        return media.sound_timeline(path)
    with open_media(path) as container:
        seen = bool(pictures(container))
    return media.timeline(path) if seen else media.sound_timeline(path)
