"""What the headers of clips say, before any stage runs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.preprocessing import headers
from tests.support.media import numbered, remuxed, tone


def test_clip_is_measured_without_decoding(tmp_path: Path) -> None:
    plain = numbered(tmp_path / "plain.mp4", frames=30, width=64, height=48, pixel_ratio=Fraction(4, 3), sound_s=1.0)
    late = remuxed(tmp_path / "late.mkv", [plain], late_s={"audio": 0.5})
    header = headers.read(plain)
    assert (header.problem, header.frames, header.width, header.height) == ("", 30, 85, 48)
    assert (header.pixel_ratio, header.video_streams, header.tracks) == (1.3333, 1, 1)
    header = headers.read(late)
    assert header.sound_offset_s == pytest.approx(0.5, abs=0.03)
    assert header.duration_s == pytest.approx(1.5, abs=0.06)


def test_ending_of_the_name_is_not_asked(tmp_path: Path) -> None:
    clip = numbered(tmp_path / "clip.mp4", frames=3, width=64, height=48, sound_s=0.2)
    assert headers.read(clip.rename(tmp_path / "clip.unknown")).frames == 3


def test_single_picture_and_missing_file_are_problems(tmp_path: Path) -> None:
    assert headers.read(numbered(tmp_path / "one.mp4", frames=1, sound_s=None)).problem == "is a single picture"
    assert headers.read(tmp_path / "none.mp4").problem == "cannot be read (No such file or directory)"


def test_parts_and_other_sounds_are_measured(tmp_path: Path) -> None:
    numbered(tmp_path / "call.mp4", frames=60, rate=Fraction(30), width=64, height=48, sound_s=None)
    tone(tmp_path / "call.wav", pitch_hz=200, length_s=2.0)
    (tmp_path / "bad.wav").write_bytes(b"")
    entries = [
        Entry("whole", "call.mp4", "x", "a", audio="call.wav"),
        Entry("part", "call.mp4", "x", "a", start_s=0.5, end_s=1.25),
        Entry("end", "call.mp4", "x", "a", start_s=0.5, end_s=9.0),
        Entry("after", "call.mp4", "x", "a", start_s=2.5),
        Entry("bad", "call.mp4", "x", "a", audio="bad.wav"),
    ]
    found = {entry.clip: (entry.problem, header) for entry, header in headers.measure(tmp_path, entries, 1)}
    assert (found["whole"][1].tracks, found["part"][1].tracks) == (1, 0)
    assert [found[clip][1].duration_s for clip in ("whole", "part", "end")] == pytest.approx([2.0, 0.75, 1.5], abs=0.01)
    assert found["after"][0] == "begins at 2.5 s, where its file lasts 2.00 s"
    assert found["bad"][0] == "bad.wav is empty"


@pytest.mark.parametrize(
    ("durations_s", "window_s"),
    [
        ([2.0] * 9 + [5.0], 2.0),  # of ten clips, nine are covered
        ([3.0] * 9 + [1.2], 2.4),  # the short clip fills half of it
        ([3.0] * 9 + [0.2], 3.0),  # an outlier is not waited for
        ([60.0] * 10, 6.0),
        ([0.05, 0.05], 0.1),
    ],
)
def test_window_covers_most_clips(durations_s: list[float], window_s: float) -> None:
    assert headers.propose_window(durations_s, 0.5) == window_s
