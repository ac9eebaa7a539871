from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import face_boxes
from cfnsr.preprocessing.landmarks import Landmarks

OPTIONS = {
    "min_confidence": 0.7,
    "min_tracked": 0.5,
    "margin": 0.25,
    "smoothing_s": 0.1,
    "side_smoothing_s": 1.0,
    "where": "clip.csv",
}


def around(centres: np.ndarray, half: float = 50.0, confidence: np.ndarray | None = None) -> Landmarks:
    """Return landmarks on a square of ``2 * half`` pixels around each centre."""
    corners = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])
    pattern = np.resize(corners, (68, 2)) * half
    known = np.full(len(centres), 0.98) if confidence is None else confidence
    return Landmarks(centres[:, None] + pattern, known, frame_rate_hz=30.0)


def test_still_face_has_still_box_with_margin() -> None:
    faces = face_boxes.compute(around(np.full((30, 2), 200.0)), **OPTIONS)
    assert np.allclose(faces.boxes, [200, 200, 150]) and not faces.interpolated.any()


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), jitter=st.floats(0, 10), speed=st.floats(-3, 3))
@example(seed=18639, jitter=9.0, speed=0.0)  # one frame's points are four standard deviations off
def test_boxes_are_steady_and_follow_the_face(seed: int, jitter: float, speed: float) -> None:
    noise = np.random.default_rng(seed).normal(0, jitter, (90, 2))
    path = 300 + speed * np.arange(90)[:, None] * [1, 0.5]
    faces = face_boxes.compute(around(path + noise), **OPTIONS)
    assert np.abs(faces.boxes[:, 2] - 150).max() < 1e-6
    # Away from the ends, where a moving average lags, the box follows the head and shakes less than the points.
    inside = slice(12, -12)
    shake = np.diff(faces.boxes[:, :2], axis=0)[inside].std(axis=0)
    assert (shake <= np.diff(path + noise, axis=0)[inside].std(axis=0) + 1e-9).all()
    # A box is off the head's path by little, or by less than the points of its frame are, which it may not leave.
    off = np.abs(faces.boxes[:, :2] - path)[inside]
    assert (off <= 1e-6 + np.maximum(2.5 * jitter, np.abs(noise)[inside])).all()
    away = np.linalg.norm(faces.boxes[:, :2] - path - noise, axis=1)
    assert (away <= 0.1 * faces.boxes[:, 2] + 1e-6).all()


def test_fast_motion_stays_in_the_box() -> None:
    path = 300 + 150 * np.sin(2 * np.pi * 3 * np.arange(60) / 30)[:, None] * [1, 0]  # three swings a second
    faces = face_boxes.compute(around(path), **{**OPTIONS, "smoothing_s": 0.2})
    assert np.linalg.norm(faces.boxes[:, :2] - path, axis=1).max() <= 0.1 * 150 + 1e-6


def test_side_follows_a_person_who_leans_in() -> None:
    half = np.linspace(40, 90, 150)  # over five seconds
    track = around(np.full((150, 2), 300.0))
    track.points[:] = 300 + (track.points - 300) / 50 * half[:, None, None]
    sides = face_boxes.compute(track, **OPTIONS).boxes[:, 2]
    assert (sides[20:-20] >= 2 * half[20:-20]).all() and sides[-1] > 1.6 * sides[0]
    one_side = face_boxes.compute(track, **{**OPTIONS, "side_smoothing_s": 0.0}).boxes[:, 2]
    assert one_side.min() == one_side.max()


def test_open_mouth_does_not_change_the_side() -> None:
    track = around(np.full((90, 2), 300.0))
    still = face_boxes.compute(track, **OPTIONS).boxes[:, 2]
    track.points[40:46, 30:] += [0, 30]  # for a fifth of a second
    assert np.abs(face_boxes.compute(track, **OPTIONS).boxes[:, 2] - still).max() < 1


def test_jump_to_another_face_is_counted() -> None:
    centres = np.full((60, 2), 200.0)
    centres[30:] += [400, 0]
    assert face_boxes.compute(around(centres), **OPTIONS).summary()["box_jumps"] > 0
    steady = face_boxes.compute(around(np.full((60, 2), 200.0)), **OPTIONS)
    assert steady.summary()["box_jumps"] == 0


def test_untrusted_frames_are_interpolated() -> None:
    centres = np.column_stack([np.linspace(100, 190, 10), np.full(10, 100.0)])
    confidence = np.full(10, 0.9)
    lost = around(centres, confidence=confidence)
    lost.points[4:6] = 5000.0
    confidence[4:6] = 0.1
    faces = face_boxes.compute(lost, **{**OPTIONS, "smoothing_s": 0.0})
    assert faces.interpolated.tolist() == [False] * 4 + [True] * 2 + [False] * 4
    assert np.allclose(faces.boxes[:, :2], centres)


def test_nan_points_are_interpolated() -> None:
    lost = around(np.full((10, 2), 100.0))
    lost.points[3] = np.nan
    faces = face_boxes.compute(lost, **OPTIONS)
    assert faces.interpolated.sum() == 1 and np.isfinite(faces.boxes).all()


def test_clip_without_a_face_is_refused() -> None:
    with pytest.raises(CfnsrError, match=r"clip\.csv: a face is tracked in 4 of 10 frames"):
        face_boxes.compute(around(np.full((10, 2), 100.0), confidence=np.repeat([0.9, 0.2], [4, 6])), **OPTIONS)


def test_points_in_one_place_are_refused() -> None:
    with pytest.raises(CfnsrError, match=r"clip\.csv: its face is 0\.0 pixels wide"):
        face_boxes.compute(around(np.full((10, 2), 100.0), half=0.0), **OPTIONS)


@settings(max_examples=200)
@given(
    points=arrays(np.float64, (6, 68, 2), elements=st.floats(width=64)),
    confidence=arrays(np.float64, 6, elements=st.floats(width=64)),
)
def test_any_numbers_make_boxes_or_an_error(points: np.ndarray, confidence: np.ndarray) -> None:
    try:
        faces = face_boxes.compute(Landmarks(points, confidence, 30.0), **OPTIONS)
    except CfnsrError as error:
        assert "clip.csv" in str(error)
    else:
        assert np.isfinite(faces.boxes).all() and (faces.boxes[:, 2] > 0).all()


def test_boxes_survive_their_file(tmp_path: Path) -> None:
    clips = {
        f"clip-{number}": face_boxes.compute(
            around(np.random.default_rng(number).uniform(100, 500, (5 + number, 2))), **OPTIONS
        )
        for number in range(3)
    }
    face_boxes.write(tmp_path / "boxes.parquet", clips, {"lost": "no face", "hid": "none"})
    (tmp_path / "junk.parquet").write_text("junk")
    with pytest.raises(CfnsrError, match=r"junk\.parquet: is not a file of face boxes"):
        face_boxes.read(tmp_path / "junk.parquet")
    back, skipped = face_boxes.read(tmp_path / "boxes.parquet")
    assert skipped == {"lost": "no face", "hid": "none"}
    assert list(back) == list(clips)
    for name, face in clips.items():
        assert np.array_equal(back[name].boxes, face.boxes)
        assert np.array_equal(back[name].interpolated, face.interpolated)


@pytest.mark.parametrize("std", [0.5, 3.0, 20.0])
def test_smoothing_is_a_gaussian_with_held_ends(std: float) -> None:
    centres = np.random.default_rng(0).uniform(190, 210, (40, 2))
    smoothed = face_boxes.compute(around(centres, half=200.0), **{**OPTIONS, "smoothing_s": std / 30}).boxes[:, :2]
    weights = np.exp(-0.5 * (np.arange(-200, 201) / std) ** 2)
    padded = np.pad(centres, ((200, 200), (0, 0)), mode="edge")
    expected = [np.convolve(padded[:, axis], weights / weights.sum(), mode="valid") for axis in range(2)]
    assert np.abs(smoothed - np.stack(expected, axis=1)).max() < 0.02
