"""Made-up sounds for encoders."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cfnsr.corpora.clip import Clip
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.files import ClipFeatures

RATE_HZ = 16000


def chirp(samples: int, start_hz: float = 120.0) -> Float32[np.ndarray, " sample"]:
    """A rising tone, and a second one whose loudness changes."""
    time = np.arange(samples) / RATE_HZ
    first = 0.3 * np.sin(2 * np.pi * (start_hz * time + 60 * time**2))
    second = 0.1 * np.sin(2 * np.pi * (900 * time + 400 * time**2)) * (1 + np.sin(2 * np.pi * 3 * time))
    return (first + second).astype(np.float32)


def clip(path: Path, samples: Float32[np.ndarray, " sample"]) -> Clip:
    """Write a sound as a wav file, and describe it as a clip."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((32767 * samples).astype("<i2").tobytes())
    return Clip(path.stem, path, "01", "sad")


def features(extractor: FrozenEncoder, clips: list[Clip]) -> dict[str, ClipFeatures]:
    """Compute the features of clips that all can be used, by clip id."""
    result = {}
    for of_clip, features in extractor.features(clips, {}):
        assert isinstance(features, ClipFeatures), features
        result[of_clip.id] = features
    return result
