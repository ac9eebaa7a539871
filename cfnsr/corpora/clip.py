"""The values that travel along the line before torch is needed: a clip, and what is read from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8


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
        repetition: which take of it, from 1; likewise.
    """

    id: str
    path: Path
    actor: str
    label: str
    intensity: str
    statement: int
    repetition: int


@dataclass(frozen=True)
class Sample:
    """What the networks see of one clip.

    Attributes:
        frames: RGB face crops, evenly spaced over the clip.
        mel: log-mel spectrogram in dB.
        mfcc: mel-frequency cepstral coefficients of the same window.
        duration_s: length of the video stream in seconds.
        padded_s: seconds of silence appended because the clip ended before the audio window did.
    """

    frames: UInt8[np.ndarray, "time height width 3"]
    mel: Float32[np.ndarray, "mel step"]
    mfcc: Float32[np.ndarray, "coef step"]
    duration_s: float
    padded_s: float
