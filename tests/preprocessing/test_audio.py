from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, media
from tests.support.media import numbered, remuxed

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
    sound, padded_s = audio.waveform(path, media.timeline(path), **WINDOW)
    assert sound.shape == (108045,) and sound.dtype == np.float32 and padded_s == 0
    assert pitch_hz(sound) == pytest.approx(1000, abs=1)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.05)


def test_short_clip_is_padded_and_reported(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=60, sound_s=2.0)
    sound, padded_s = audio.waveform(path, media.timeline(path), **WINDOW)
    assert sound.shape == (108045,)
    assert padded_s == pytest.approx(0.95, abs=0.05)
    tail = sound[-int(0.85 * 44100) :]
    assert not tail.any() and np.abs(sound[:44100]).max() > 0.4


def test_sound_after_a_clip_is_not_its(tmp_path: Path) -> None:
    path = numbered(tmp_path / "call.mp4", frames=100, sound_s=3.3, tone_hz=1000.0)
    sound, padded_s = waveform(path, offset_s=1.5, end_s=2.5)
    assert sound.shape == (108045,) and padded_s == pytest.approx(1.45, abs=1e-3)
    assert not sound[44100:].any() and np.abs(sound[44000:44100]).max() > 0.4
    whole, _ = waveform(path, offset_s=0.0, window_s=3.0)
    assert np.abs(sound[:44100] - whole[66150:110250]).max() < 0.01
    with pytest.raises(CfnsrError, match=r"has no sound between 1\.5 s and 1\.2 s"):
        waveform(path, offset_s=1.5, end_s=1.2)


def test_clip_without_sound_is_refused(tmp_path: Path) -> None:
    mute = numbered(tmp_path / "mute.mp4", frames=10, sound_s=None)
    with pytest.raises(CfnsrError, match=r"mute\.mp4: has no audio stream that can be decoded"):
        audio.waveform(mute, media.timeline(mute), **WINDOW)
    brief = numbered(tmp_path / "brief.mp4", frames=10, sound_s=0.2)
    with pytest.raises(CfnsrError, match=r"brief\.mp4: has no sound between 0\.5 s and 2\.95 s"):
        audio.waveform(brief, media.timeline(brief), **WINDOW)


def waveform(path: Path, **changes: float) -> tuple[np.ndarray, float]:
    return audio.waveform(path, media.timeline(path), **{**WINDOW, **changes})  # pyright: ignore[reportArgumentType]


def pitch_hz(sound: np.ndarray) -> float:
    return float(np.fft.rfftfreq(sound.size, 1 / 44100)[np.abs(np.fft.rfft(sound)).argmax()])


def loudest_db(sound: np.ndarray) -> float:
    return float(audio.features(sound, **ANALYSIS)["mel"].max())


@pytest.fixture(scope="module")
def mono(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered(tmp_path_factory.mktemp("audio") / "mono.mp4", frames=100, sound_s=3.3)


@pytest.mark.parametrize(
    ("channels", "sounds"),
    [
        ("stereo", []),
        ("stereo", [{"FL": 1.0, "FR": -1.0}]),  # antiphase: the mean of the channels is silent
        ("stereo", [{"FL": 1.0, "FR": -0.98}]),
        ("5.1", [{"FC": 1.0}]),  # dialogue in the centre
        ("5.1", [{"FC": 1.0, "LFE": 1.0}]),
        ("7.1", [{"FC": 1.0}]),  # more than eight planes end PyAV's process
        ("quad", []),
    ],
)
def test_channels_are_mixed_as_loud_as_mono(
    tmp_path: Path, mono: Path, channels: str, sounds: list[dict[str, float]]
) -> None:
    path = tmp_path / "clip.mkv"
    codec = "pcm_s16le" if channels == "quad" else "aac"
    numbered(path, frames=100, sound_s=3.3, channels=channels, sounds=sounds, sound_codec=codec)
    assert loudest_db(waveform(path)[0]) == pytest.approx(loudest_db(waveform(mono)[0]), abs=0.5)


def test_sixteen_channels_are_read(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mkv", frames=100, sound_s=3.3, channels="hexadecagonal", sound_codec="pcm_s16le")
    assert pitch_hz(waveform(path)[0]) == pytest.approx(440, abs=1)


def test_late_sound_keeps_its_time(mono: Path, tmp_path: Path) -> None:
    path = remuxed(tmp_path / "clip.mkv", [mono], late_s={"audio": 0.8})
    sound, padded_s = waveform(path)
    assert padded_s == pytest.approx(0.3, abs=0.03)
    assert np.flatnonzero(np.abs(sound) > 0.25)[0] / 44100 == pytest.approx(0.3, abs=0.03)


def test_late_picture_moves_the_sound_not(mono: Path, tmp_path: Path) -> None:
    path = remuxed(tmp_path / "clip.mkv", [mono], late_s={"video": 0.8})
    assert np.abs(waveform(path)[0] - waveform(mono)[0]).max() < 0.05


def test_hole_in_the_sound_is_silence(mono: Path, tmp_path: Path) -> None:
    def keep(packet: av.Packet) -> bool:
        return packet.stream.type == "video" or not 1.0 <= float(packet.dts * packet.time_base) < 1.5  # pyright: ignore

    sound, padded_s = waveform(remuxed(tmp_path / "clip.ts", [mono], keep=keep))  # its times are exact
    assert padded_s == pytest.approx(0.5, abs=0.05)
    assert np.abs(sound[int(0.55 * 44100) : int(0.95 * 44100)]).max() < 0.01
    whole, _ = waveform(mono)
    assert np.abs(sound[int(1.1 * 44100) :] - whole[int(1.1 * 44100) :]).max() < 0.1


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".flv", ".mov"])
def test_container_does_not_change_the_features(mono: Path, tmp_path: Path, suffix: str) -> None:
    of_mp4, of_other = (
        audio.features(waveform(path)[0], **ANALYSIS)["mel"]
        for path in (mono, remuxed(tmp_path / f"clip{suffix}", [mono]))
    )
    assert np.abs(of_mp4 - of_other).mean() < 0.5  # dB


def test_channels_may_change_midway(tmp_path: Path) -> None:
    parts = [
        numbered(tmp_path / f"{channels}.ts", frames=45, sound_s=1.5, channels=channels)
        for channels in ("mono", "stereo")
    ]
    sound, padded_s = waveform(remuxed(tmp_path / "clip.mkv", parts))
    assert padded_s < 0.3 and pitch_hz(sound[:20000]) == pytest.approx(440, abs=3)
    assert pitch_hz(sound[-40000:-20000]) == pytest.approx(440, abs=3)


def test_track_can_be_chosen(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mkv", frames=100, sound_s=3.3, sounds=[{"FC": 0.0}, {"FC": 1.0}])
    assert np.abs(waveform(path)[0]).max() < 0.01 and np.abs(waveform(path, track=2)[0]).max() > 0.4
    with pytest.raises(CfnsrError, match=r"has 2 tracks of sound, where extract\.audio\.track is 3"):
        waveform(path, track=3)


def test_clip_with_too_little_sound_is_refused(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=60, sound_s=1.5)
    options = {**WINDOW, **ANALYSIS, "track": 1, "silence_db": -50.0}
    _, padded_s = audio.sound(path, media.timeline(path), min_sound=0.3, **options)
    assert padded_s == pytest.approx(1.45, abs=0.05)
    with pytest.raises(CfnsrError, match=r"only 1\.0\d s of the window's 2\.45 s have sound"):
        audio.sound(path, media.timeline(path), min_sound=0.5, **options)
