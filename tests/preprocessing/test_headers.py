"""What the headers of clips say, before any stage runs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from cfnsr.preprocessing import headers
from tests.support.media import numbered, remuxed


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
