"""Streams and times of files as recorders, cameras and editors make them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, media, video
from tests.support.media import number_of, numbered, remuxed

RATE = Fraction(25)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered(tmp_path_factory.mktemp("media") / "clip.mp4", frames=100)


@pytest.fixture(scope="module")
def long_groups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds with a keyframe every two."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    return numbered(path, frames=150, rate=RATE, keyframe_every=50, sound_s=6.0)


def numbers(path: Path, indices: list[int]) -> list[int]:
    return [number_of(frame.image) for frame in video.frames(path, media.timeline(path), indices, decoder="pyav")]


def test_timeline_has_every_frame_and_the_rate(clip: Path) -> None:
    timeline = media.timeline(clip)
    assert len(timeline.pts) == 100 and timeline.times_s[0] == 0
    assert timeline.frame_rate_hz == pytest.approx(30000 / 1001, rel=1e-4)
    assert timeline.duration_s == pytest.approx(100 * 1001 / 30000, abs=1e-3)
    assert (timeline.lost_frames, timeline.transfer, len(timeline.tracks)) == (0, "sdr", 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv", ".mov"])
@pytest.mark.parametrize("late", ["audio", "video"])
def test_first_of_picture_and_sound_is_time_0(clip: Path, tmp_path: Path, suffix: str, late: str) -> None:
    path = remuxed(tmp_path / f"clip{suffix}", [clip], late_s={late: 0.8})
    timeline = media.timeline(path)
    if late == "audio":
        assert timeline.times_s[0] == 0 and timeline.sound_offset_s() == pytest.approx(0.8, abs=0.03)
    else:
        assert timeline.tracks[0][1] == 0 and timeline.sound_offset_s() == pytest.approx(-0.8, abs=0.03)


def test_still_before_the_video_is_passed_over(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mkv", frames=60, rate=RATE, cover_px=64)
    with av.open(str(path)) as container:
        assert [stream.width for stream in container.streams.video] == [64, 320]
    assert len(media.timeline(path).pts) == 60
    assert numbers(path, [0, 30, 59]) == [0, 30, 59]


@pytest.mark.parametrize(("codec", "b_frames"), [("libx264", 3), ("libx264", 0), ("mpeg4", 0)])
def test_avi_gives_frames_in_their_order(tmp_path: Path, codec: str, b_frames: int) -> None:
    path = numbered(
        tmp_path / "clip.avi", frames=60, rate=RATE, codec=codec, b_frames=b_frames, sound_codec="libmp3lame"
    )
    timeline = media.timeline(path)
    assert timeline.counted and timeline.frame_rate_hz == pytest.approx(25)
    assert numbers(path, [0, 7, 31, 59]) == [0, 7, 31, 59]


def test_packets_without_times_keep_the_clock(tmp_path: Path) -> None:
    """Of a program stream of H.264 with B-frames only the first packet has a time, half a second after the zero."""
    small = {"width": 64, "height": 48}  # several frames share a packet of the stream
    path = numbered(tmp_path / "clip.vob", frames=40, rate=RATE, sound_codec="mp2", sound_s=1.6, **small)
    timeline = media.timeline(path)
    assert timeline.counted and timeline.origin_s > 0.4
    assert abs(timeline.sound_offset_s()) < 0.1 and timeline.times_s[0] < 0.1
    assert numbers(path, [0, 7, 31, 39]) == [0, 7, 31, 39]


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_cut_file_is_refused(tmp_path: Path, suffix: str) -> None:
    codecs = {"codec": "libvpx", "sound_codec": "libopus"} if suffix == ".webm" else {}
    path = numbered(tmp_path / f"clip{suffix}", frames=50, rate=RATE, sound_s=2.0, **codecs)
    assert len(media.timeline(path).pts) == 50
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CfnsrError, match=r"was cut: it ends at [01]\.\d s of 2\.\d s"):
        media.timeline(path)


def seconds(start_s: float, end_s: float) -> Callable[[av.Packet], bool]:
    return lambda packet: start_s <= float((packet.dts or 0) * (packet.time_base or 0)) < end_s


def test_cut_without_a_keyframe_begins_later(long_groups: Path, tmp_path: Path) -> None:
    path = remuxed(tmp_path / "clip.mkv", [long_groups], keep=seconds(1.2, 6.0))
    timeline = media.timeline(path)
    assert 15 <= timeline.lost_frames <= 25
    assert timeline.times_s[0] == pytest.approx(0.8, abs=0.1) and timeline.sound_offset_s() < -0.6
    assert numbers(path, [0, 10]) == [50, 60]


def test_cut_that_lost_most_frames_is_refused(long_groups: Path, tmp_path: Path) -> None:
    path = remuxed(tmp_path / "clip.mkv", [long_groups], keep=seconds(2.2, 5.0))
    with pytest.raises(CfnsrError, match=r"its first \d+ of \d+ frames cannot be decoded"):
        media.timeline(path)


def test_single_frame_has_a_usual_rate(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    numbered(path, frames=1, ticks=[0])
    assert 1 <= media.timeline(path).frame_rate_hz <= 1000


@pytest.mark.parametrize(("transfer", "name"), [(16, "pq"), (18, "hlg"), (1, "sdr")])
def test_high_dynamic_range_is_named(tmp_path: Path, transfer: int, name: str) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=5, transfer=transfer)
    assert media.timeline(path).transfer == name


def test_unknown_kind_of_video_is_refused(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip.read_bytes().replace(b"avc1", b"drmi").replace(b"avcC", b"drmC"))
    with pytest.raises(CfnsrError, match="its video is of an unknown or protected kind"):
        media.timeline(path)


def test_unknown_kind_of_sound_leaves_no_track(clip: Path, tmp_path: Path) -> None:
    path = remuxed(tmp_path / "clip.mkv", [clip])
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_NEW"))  # a codec that no decoder knows
    assert not media.timeline(path).tracks


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".m4a", ".aiff"])
def test_sound_alone_begins_at_its_first_sample(clip: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        codec = {".flac": "flac", ".mp3": "mp3", ".ogg": "libopus", ".m4a": "aac"}.get(suffix, "pcm_s16le")
        if suffix == ".aiff":
            codec = "pcm_s16be"
        stream = target.add_stream(codec, rate=48000, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    timeline = media.sound_timeline(path)
    assert timeline.pts == () and timeline.tracks == ((0, 0.0),) and timeline.sound_offset_s() == 0
    assert timeline.duration_s == pytest.approx(1.0, abs=0.06)
    samples, padded_s = audio.waveform(path, timeline, rate_hz=16000, offset_s=0.25, window_s=0.5)
    assert padded_s == 0 and np.abs(samples).max() > 0.3
    with pytest.raises(CfnsrError, match=r"has no video stream\. .*use the sound alone"):
        media.timeline(path)


def test_sound_alone_of_a_video_needs_a_track(clip: Path, tmp_path: Path) -> None:
    late = remuxed(tmp_path / "late.mkv", [clip], late_s={"audio": 0.8})
    assert media.sound_timeline(late).tracks[0][1] == 0
    mute = numbered(tmp_path / "mute.mp4", frames=3, sound_s=None)
    with pytest.raises(CfnsrError, match="has no audio stream that can be decoded"):
        media.sound_timeline(mute)
