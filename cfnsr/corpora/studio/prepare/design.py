"""The table of emotions: the face and the voice of each. Fixed before any model was trained.

In each modality four pairs of emotions share a row and cannot be told apart. The pairs of the face are not those of
the voice, so both modalities together identify all eight emotions, and one modality at most half of the clips.

    face:  neutral = calm      happy = surprised    sad = fearful      angry = disgust
    voice: neutral = disgust   calm = sad           happy = angry      fearful = surprised
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Face:
    """The difference of a face from rest, in shares of the distance between the eyes.

    Attributes:
        smile: mouth corners up and apart; negative: down.
        open: lower lip and jaw down, in addition to speech.
        brows: both brows up; negative: down.
        inner: inner ends of the brows up.
        frown: inner ends of the brows together and down.
        lids: upper and lower lids apart; negative: together.
    """

    smile: float
    open: float
    brows: float
    inner: float
    frown: float
    lids: float


@dataclass(frozen=True)
class Voice:
    """The difference of a voice from its speaker's usual voice.

    Attributes:
        tempo: factor on words a minute.
        pitch: steps on the synthesiser's scale of 0 to 99.
        melody: range of pitch, 0 to 99.
        level_db: loudness in dB.
        tilt_db: dB an octave above 500 Hz; positive is brighter.
        tremor: depth of a change of level at 7 Hz, 0 to 1.
    """

    tempo: float
    pitch: float
    melody: float
    level_db: float
    tilt_db: float
    tremor: float


FACES = {
    "resting": Face(smile=-0.02, open=0.0, brows=0.0, inner=0.0, frown=0.0, lids=0.0),
    "lifted": Face(smile=0.17, open=0.08, brows=0.16, inner=0.0, frown=0.0, lids=0.03),
    "fallen": Face(smile=-0.20, open=0.03, brows=0.0, inner=0.17, frown=0.0, lids=-0.01),
    "clenched": Face(smile=-0.08, open=0.0, brows=-0.06, inner=0.0, frown=0.15, lids=-0.04),
}
VOICES = {
    "level": Voice(tempo=1.0, pitch=0, melody=30, level_db=0, tilt_db=0, tremor=0.0),
    "soft": Voice(tempo=0.78, pitch=-8, melody=15, level_db=-12, tilt_db=-5, tremor=0.0),
    "strong": Voice(tempo=1.12, pitch=10, melody=85, level_db=8, tilt_db=3, tremor=0.0),
    "high": Voice(tempo=1.35, pitch=32, melody=50, level_db=-1, tilt_db=1, tremor=0.6),
}
EMOTIONS = {
    "neutral": ("resting", "level"),
    "calm": ("resting", "soft"),
    "happy": ("lifted", "strong"),
    "sad": ("fallen", "soft"),
    "angry": ("clenched", "strong"),
    "fearful": ("fallen", "high"),
    "disgust": ("clenched", "level"),
    "surprised": ("lifted", "high"),
}
# Factor on all differences, by intensity.
STRENGTH = {"normal": 1.0, "strong": 1.35}

# Standard deviation of each value, at a noise of 1.
_FACE_JITTER = Face(smile=0.07, open=0.04, brows=0.05, inner=0.05, frown=0.05, lids=0.02)
_VOICE_JITTER = Voice(tempo=0.14, pitch=9, melody=12, level_db=4.5, tilt_db=1.5, tremor=0.15)
# Standard deviation, at a noise of 1, of the logarithm of the factor on the whole row.
_FACE_AMOUNT, _VOICE_AMOUNT = 0.25, 0.2
# Outside these limits a face folds over itself.
_LOWEST = Face(smile=-0.30, open=0.0, brows=-0.12, inner=-0.05, frown=-0.08, lids=-0.08)
_HIGHEST = Face(smile=0.28, open=0.15, brows=0.20, inner=0.20, frown=0.20, lids=0.05)


def face(emotion: str, intensity: str, noise: float, random: np.random.Generator) -> Face:
    """Draw the face of one clip: its row times a factor, plus noise.

    Args:
        emotion: one of ``EMOTIONS``.
        intensity: one of ``STRENGTH``.
        noise: how much clips of a row differ; 0: not at all.
        random: generator of the noise.
    """
    row, amount = FACES[EMOTIONS[emotion][0]], STRENGTH[intensity] * np.exp(_FACE_AMOUNT * noise * random.normal())
    drawn = {}
    for name in (field.name for field in fields(Face)):
        value = amount * getattr(row, name) + noise * getattr(_FACE_JITTER, name) * random.normal()
        drawn[name] = float(np.clip(value, getattr(_LOWEST, name), getattr(_HIGHEST, name)))
    return Face(**drawn)


def voice(emotion: str, intensity: str, noise: float, random: np.random.Generator) -> Voice:
    """Draw the voice of one clip; for the arguments see ``face``."""
    row, usual = VOICES[EMOTIONS[emotion][1]], VOICES["level"]
    amount = STRENGTH[intensity] * np.exp(_VOICE_AMOUNT * noise * random.normal())
    drawn = {}
    for name in (field.name for field in fields(Voice)):
        difference = amount * (getattr(row, name) - getattr(usual, name))
        drawn[name] = getattr(usual, name) + difference + noise * getattr(_VOICE_JITTER, name) * random.normal()
    return Voice(**drawn)
