from __future__ import annotations

import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.clip_sound import ClipSound
from tests.support import sounds
from tests.support.media import numbered, remuxed, tone

SOUND = ClipSound(16000, 30.0, "here")


def test_whole_sound_is_read_without_padding(tmp_path: Path) -> None:
    clip = Clip("clip", tone(tmp_path / "clip.wav", pitch_hz=440, length_s=1.25), "01", "sad")
    samples = SOUND.read(clip)
    assert samples.size == pytest.approx(1.25 * 16000, abs=2) and samples.dtype == np.float32
    assert SOUND.read(replace(clip, start_s=0.5)).size == pytest.approx(0.75 * 16000, abs=2)
    assert SOUND.read(replace(clip, start_s=0.5, end_s=0.75)).size == pytest.approx(0.25 * 16000, abs=2)


def test_sound_of_a_video_is_on_its_clock(tmp_path: Path) -> None:
    video = numbered(tmp_path / "clip.mp4", frames=60, rate=Fraction(30), sound_s=2.0, tone_hz=500)
    clip = Clip("clip", video, "01", "sad", start_s=0.5, end_s=1.0)
    assert SOUND.read(clip).size == pytest.approx(0.5 * 16000, abs=2)
    other = replace(clip, audio=tone(tmp_path / "other.wav", pitch_hz=900, length_s=0.8))
    assert SOUND.read(other).size == pytest.approx(0.3 * 16000, abs=2)


def test_silence_of_the_clip_itself_stays(tmp_path: Path) -> None:
    spoken = np.concatenate([np.zeros(4000), sounds.chirp(8000), np.zeros(4000)]).astype(np.float32)
    samples = SOUND.read(sounds.clip(tmp_path / "pause.wav", spoken))
    assert samples.size == spoken.size and not samples[:4000].any() and not samples[12000:].any()


def test_late_sound_is_on_the_pictures_clock(tmp_path: Path) -> None:
    early = numbered(tmp_path / "early.mp4", frames=45, sound_s=1.0)
    late = Clip("late", remuxed(tmp_path / "late.mp4", [early], late_s={"audio": 0.4}), "01", "sad")
    assert SOUND.read(late).size == pytest.approx(SOUND.read(Clip("early", early, "01", "sad")).size, abs=2)
    assert SOUND.read(replace(late, start_s=0.9, end_s=1.4)).size == 8000
    assert SOUND.read(replace(late, start_s=0.2, end_s=0.6)).size == pytest.approx(3200, abs=400)


@pytest.mark.parametrize("max_s", [0.0, -1.0, 30.5, float("inf"), float("nan")])
def test_length_out_of_bounds_is_refused(max_s: float) -> None:
    with pytest.raises(CfnsrError, match=r"here: max_s is .*Set max_s to 0\.1 to 30 seconds"):
        ClipSound(16000, max_s, "here", longest_s=30.0)


def test_silent_or_brief_sound_is_refused(tmp_path: Path) -> None:
    brief = Clip("brief", tone(tmp_path / "brief.wav", pitch_hz=440, length_s=0.05), "01", "sad")
    with pytest.raises(CfnsrError, match=r"has only 0\.05 s of sound"):
        SOUND.read(brief)
    with wave.open(str(tmp_path / "silent.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    with pytest.raises(CfnsrError, match=r"its sound is constant \(silent\)"):
        SOUND.read(Clip("silent", tmp_path / "silent.wav", "01", "sad"))
    mute = Clip("mute", numbered(tmp_path / "mute.mp4", frames=9, sound_s=None), "01", "sad")
    with pytest.raises(CfnsrError, match="has no audio stream that can be decoded"):
        SOUND.read(mute)
