from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio
from tests.support.media import numbered

WINDOW = {"rate_hz": 44100, "offset_s": 0.5, "window_s": 2.45}
ANALYSIS = {"rate_hz": 44100, "n_fft": 2048, "hop": 512, "mels": 128, "coefficients": 13, "top_db": 80.0}


def test_mfcc_and_log_mel_equal_librosa() -> None:
    golden = np.load(Path(__file__).parents[1] / "golden" / "mfcc_chirp.npz")
    time = np.arange(108045) / 44100
    chirp = 0.3 * np.sin(2 * np.pi * (120 * time + 60 * time**2)) + 0.1 * np.sin(
        2 * np.pi * (900 * time + 400 * time**2)
    ) * (1 + np.sin(2 * np.pi * 3 * time))
    arrays = audio.features(chirp.astype(np.float32), **ANALYSIS)
    assert list(arrays) == ["mel", "mfcc"]
    for name, shape in (("mel", (128, 212)), ("mfcc", (13, 212))):
        expected = next(golden[key] for key in golden.files if golden[key].shape == shape)
        assert np.abs(arrays[name] - expected).max() < 0.01, name


def test_window_has_its_offset_and_length(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=100, sound_s=3.3, tone_hz=1000.0)
    sound, padded_s = audio.waveform(path, **WINDOW)
    assert sound.shape == (108045,) and sound.dtype == np.float32 and padded_s == 0
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.fft.rfftfreq(sound.size, 1 / 44100)[spectrum.argmax()] == pytest.approx(1000, abs=1)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.05)


def test_short_clip_is_padded_and_reported(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=60, sound_s=2.0)
    sound, padded_s = audio.waveform(path, **WINDOW)
    assert sound.shape == (108045,)
    assert padded_s == pytest.approx(0.95, abs=0.05)
    tail = sound[-int(0.85 * 44100) :]
    assert not tail.any() and np.abs(sound[:44100]).max() > 0.4


def test_clip_without_sound_is_refused(tmp_path: Path) -> None:
    mute = numbered(tmp_path / "mute.mp4", frames=10, sound_s=None)
    with pytest.raises(CfnsrError, match=r"mute\.mp4: has no audio stream"):
        audio.waveform(mute, **WINDOW)
    brief = numbered(tmp_path / "brief.mp4", frames=10, sound_s=0.2)
    with pytest.raises(CfnsrError, match=r"brief\.mp4: the sound ends before 0.5 s"):
        audio.waveform(brief, **WINDOW)


def test_stereo_is_as_loud_as_mono(tmp_path: Path) -> None:
    loudest = []
    for channels in ("mono", "stereo"):
        path = numbered(tmp_path / f"{channels}.mp4", frames=10, sound_s=3.0, channels=channels)
        sound, _ = audio.waveform(path, **WINDOW)
        loudest.append(audio.features(sound, **ANALYSIS)["mel"].max())
    assert loudest[0] == pytest.approx(loudest[1], abs=0.1)  # dB
