from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.corpora.studio.prepare import openface as written
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks
from cfnsr.preprocessing.landmarks import Landmarks
from tests.support.media import numbered
from tests.support.openface import csv_of, face

LANDMARKS = Landmarks(np.random.default_rng(0).uniform(0, 700, (20, 68, 2)).round(3), np.full(20, 0.9), 30.0)


def test_published_landmarks_come_before_a_csv_file(tmp_path: Path) -> None:
    published, clips = tmp_path / "04.parquet", [Clip(name, tmp_path / f"{name}.mp4", "04", "sad") for name in "abcd"]
    landmarks.write(published, {"a": LANDMARKS}, {"b": "has no face"})
    for name in "abc":
        numbered(tmp_path / f"{name}.mp4", frames=20)
        written.write(tmp_path / f"{name}.csv", LANDMARKS.points + 1, 0.9, LANDMARKS.frame_rate_hz)
    find = landmarks.finder("openface", published)
    assert np.allclose(find(clips[0]).points, LANDMARKS.points, atol=1e-3)
    with pytest.raises(CfnsrError, match=r"04\.parquet: b: has no face"):
        find(clips[1])
    assert np.allclose(find(clips[2]).points, LANDMARKS.points + 1, atol=1e-3)
    with pytest.raises(CfnsrError, match=r"d\.mp4: has no landmarks"):
        find(clips[3])


def find(tmp_path: Path, points: np.ndarray, **options: Any) -> Landmarks:
    """Find the landmarks of a clip of ten frames, whose CSV has the same points in each frame."""
    path = numbered(tmp_path / "clip.mp4", frames=10, **options)
    csv_of(path.with_suffix(".csv"), [(frame, points) for frame in range(1, 11)])
    return landmarks.finder("openface", tmp_path / "none.parquet")(Clip("clip", path, "01", "sad"))


def test_part_of_a_file_has_its_rows(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=30, rate=Fraction(10))
    csv_of(path.with_suffix(".csv"), [(frame, face(100 + frame, 80)) for frame in range(1, 31)])
    find = landmarks.finder("openface", tmp_path / "none.parquet")
    found = find(Clip("part", path, "01", "sad", start_s=0.95, end_s=1.6))
    assert [points.mean(axis=0)[0] for points in found.points] == pytest.approx(
        [face(101 + frame, 80).mean(axis=0)[0] for frame in range(10, 16)]
    )
    with pytest.raises(CfnsrError, match=r"has no frame from 5 s to 6 s, which is the clip part"):
        find(Clip("part", path, "01", "sad", start_s=5, end_s=6))


def test_rate_is_that_of_the_video(tmp_path: Path) -> None:
    assert find(tmp_path, face(100, 80)).frame_rate_hz == pytest.approx(29.97, abs=0.01)


def test_points_follow_pixels_that_are_not_square(tmp_path: Path) -> None:
    found = find(tmp_path, face(100, 80), pixel_ratio=Fraction(4, 3))
    assert np.allclose(found.points[0], face(100, 80) * [4 / 3, 1], atol=0.2)


@pytest.mark.parametrize("rotated", [90, 180, 270])
def test_points_of_the_stored_picture_are_turned(tmp_path: Path, rotated: int) -> None:
    shown = face(100, 80)  # in a picture of 320 x 240
    x, y = shown.T
    stored = {90: (240 - y, x), 180: (320 - x, 240 - y), 270: (y, 320 - x)}[rotated]
    found = find(tmp_path, np.stack(stored, axis=1), rotated=rotated)
    assert np.allclose(found.points[0], shown, atol=1e-3)


def test_upright_points_are_not_turned(tmp_path: Path) -> None:
    assert np.allclose(find(tmp_path, face(100, 80), rotated=90).points[0], face(100, 80))
