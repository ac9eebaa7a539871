"""Voice activity: the level in the band of speech is more than 10 dB above the noise floor.

The noise floor is the 10th percentile of the levels from 15 seconds before to 15 seconds after a step. So steady noise,
hum and tones are not speech, whatever their level. Music counts as speech: this separates sound that may be a voice
from silence, not a voice from other sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio
from cfnsr.preprocessing.media import Timeline

_RATE_HZ = 16000
_STEP_S = 0.02  # of the levels
_BLOCK_S = 10.0  # length of sound that is read at a time
_BAND_HZ = (100.0, 4000.0)
_AROUND_S = 15.0  # before and after a step, for its noise floor
_FLOOR = 10  # percentile of the levels that is the noise floor
_ABOVE_DB = 10.0  # least level of speech above the noise floor
_QUIETEST_DB = -60.0  # least level of speech, relative to full scale
_SHORTEST_S = 0.2  # least speech in a window
_SILENCE_DB = -120.0
_PARTS = 400  # values of the envelope, as many as the page draws
Levels = Float32[np.ndarray, " value"]


@dataclass(frozen=True)
class VoiceActivity:
    """The speech in a file.

    Attributes:
        speech: whether each step of 0.02 s, from the file's start, is speech.
        peaks: largest absolute sample in each step; 1 is full scale.
    """

    speech: Bool[np.ndarray, " step"]
    peaks: Float32[np.ndarray, " step"]

    @classmethod
    def of(cls, path: Path, timeline: Timeline, track: int = 1) -> VoiceActivity:
        """Analyse a file, 10 seconds at a time.

        Args:
            path: the file.
            timeline: of the file.
            track: number of the sound track, from 1.
        """
        if track > len(timeline.tracks):
            return cls(np.zeros(0, bool), np.zeros(0, np.float32))
        length_s = max(timeline.duration_s, 0.0) + timeline.tracks[track - 1][1]
        parts, peaks = [], []
        for number in range(int(length_s / _BLOCK_S) + 1):
            block = {"offset_s": number * _BLOCK_S, "window_s": _BLOCK_S}
            try:
                samples, _ = audio.waveform(path, timeline, rate_hz=_RATE_HZ, track=track, **block)
            except CfnsrError:  # no sound in this block
                samples = np.zeros(round(_BLOCK_S * _RATE_HZ), np.float32)
            parts.append(levels(samples))
            peaks.append(np.abs(samples.reshape(-1, round(_STEP_S * _RATE_HZ))).max(axis=1))
        return cls(is_speech(np.concatenate(parts)), np.concatenate(peaks))

    def envelope(self, end_s: float) -> Levels:
        """Return the largest absolute sample over time, in at most 400 equal parts from 0 to ``end_s``; 0 to 1."""
        steps = max(round(end_s / _STEP_S), 1)
        peaks = np.pad(self.peaks[:steps], (0, max(steps - len(self.peaks), 0)))
        parts = np.array_split(peaks, min(_PARTS, steps))
        return np.minimum([part.max() for part in parts], 1.0).astype(np.float32)

    def between(self, start_s: float, end_s: float) -> bool:
        """Return whether at least 0.2 seconds between two times (in seconds) are speech."""
        part = self.speech[round(start_s / _STEP_S) : round(end_s / _STEP_S)]
        return bool(part.sum() * _STEP_S >= _SHORTEST_S)


def levels(samples: Float32[np.ndarray, " sample"]) -> Float64[np.ndarray, " step"]:
    """Return the level in the band of speech at each step, in dB relative to full scale.

    Args:
        samples: at 16 kHz; their number is a multiple of the step's 320.
    """
    size = round(_STEP_S * _RATE_HZ)
    steps = samples.reshape(-1, size).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(steps * np.hanning(size))) ** 2
    frequencies = np.fft.rfftfreq(size, 1 / _RATE_HZ)
    in_band = (frequencies >= _BAND_HZ[0]) & (frequencies <= _BAND_HZ[1])
    # A full-scale sine has half the power of full scale, and Hann's window keeps a quarter of its amplitude's square.
    power = spectrum[:, in_band].sum(axis=1) * 16 / (3 * size**2)
    return 10 * np.log10(np.maximum(power, 10 ** (_SILENCE_DB / 10)))


def is_speech(level_db: Float64[np.ndarray, " step"]) -> Bool[np.ndarray, " step"]:
    """Return which steps are speech, from their levels in dB relative to full scale."""
    around, second = round(_AROUND_S / _STEP_S), round(1 / _STEP_S)
    # Steps of digital silence are gaps in the file, not noise.
    floor = np.full(len(level_db), np.inf)
    for start in range(0, len(level_db), second):
        near = level_db[max(start - around, 0) : start + around]
        sounding = near[near > _SILENCE_DB]
        floor[start : start + second] = np.percentile(sounding, _FLOOR) if sounding.size else np.inf
    return (level_db > floor + _ABOVE_DB) & (level_db > _QUIETEST_DB)
