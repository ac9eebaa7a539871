from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cfnsr.inference.recordings import ArraySource, Recording
from cfnsr.inference.voice_activity import VoiceActivity, levels
from cfnsr.preprocessing import media
from cfnsr.runtime import sources

RATE_HZ = 16000
PATH = Path("sound")


def listen(samples: np.ndarray) -> VoiceActivity:
    source = ArraySource(Recording(samples=samples.astype(np.float32), rate_hz=RATE_HZ))
    with sources.reading(PATH, source):
        return VoiceActivity.of(PATH, source.timeline)


def noise(length_s: float, level: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, round(length_s * RATE_HZ))


def speech_like(length_s: float) -> np.ndarray:
    """A buzz in syllables, five a second."""
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 150 * harmonic * time_s) / harmonic for harmonic in range(1, 20))
    return 0.1 * buzz * np.maximum(np.sin(2 * np.pi * 2.5 * time_s), 0) ** 2


def test_real_speech_is_heard(studio_actor: Path) -> None:
    for path in sorted(studio_actor.glob("*.mp4")):
        timeline = media.timeline(path)
        assert VoiceActivity.of(path, timeline).between(0.0, timeline.duration_s)


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.003, 0.1])
def test_speech_is_told_from_noise(level: float) -> None:
    quiet = noise(20, level)
    quiet[8 * RATE_HZ : 12 * RATE_HZ] += speech_like(4) * (5 if level == 0.1 else 1)
    heard = listen(quiet)
    assert heard.between(8.0, 10.0) and heard.between(9.5, 12.0)
    assert not heard.between(0.0, 7.5) and not heard.between(12.5, 20.0)


@pytest.mark.parametrize("kind", ["silence", "noise", "hum", "tone", "whisper of nothing"])
def test_steady_sound_is_no_speech(kind: str) -> None:
    time_s = np.arange(5 * RATE_HZ) / RATE_HZ
    sound = {
        "silence": np.zeros(5 * RATE_HZ),
        "noise": noise(5, 0.1),
        "hum": 0.3 * np.sin(2 * np.pi * 50 * time_s),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time_s),
        "whisper of nothing": speech_like(5) * 1e-3,
    }[kind]
    assert not listen(sound).between(0.0, 5.0)


def test_level_of_a_full_sine_is_three_below_full_scale() -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    np.testing.assert_allclose(levels(sine), -3.0, atol=0.1)
