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
from cfnsr.preprocessing.landmarks import Landmarks, openface
from tests.support.media import numbered

LANDMARKS = Landmarks(np.random.default_rng(0).uniform(0, 700, (20, 68, 2)).round(3), np.full(20, 0.9), 30.0)


def test_csv_file_is_read_as_written(tmp_path: Path) -> None:
    written.write(tmp_path / "clip.csv", LANDMARKS.points, 0.9, LANDMARKS.frame_rate_hz)
    back = openface.read(tmp_path / "clip.csv")
    assert np.array_equal(back.points, LANDMARKS.points) and np.array_equal(back.confidence, LANDMARKS.confidence)
    assert back.frame_rate_hz == pytest.approx(30, rel=1e-3)


def test_other_versions_are_read_by_name(tmp_path: Path) -> None:
    written.write(tmp_path / "clip.csv", LANDMARKS.points, 0.9, LANDMARKS.frame_rate_hz)
    lines = (tmp_path / "clip.csv").read_text().splitlines()
    spaced = [", ".join(["frame", "face_id", *lines[0].split(",")[1:], "success"])]
    spaced += [", ".join([cells[0], "0", *cells[1:], "1"]) for cells in (line.split(",") for line in lines[1:])]
    (tmp_path / "spaced.csv").write_text("\n".join(spaced) + "\n")
    assert np.array_equal(openface.read(tmp_path / "spaced.csv").points, LANDMARKS.points)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the columns confidence, x_0, x_1 and 135 more"),
        ("frame,timestamp,confidence\n1,0,0.9\n", "lacks the columns x_0, x_1, x_2 and 133 more"),
        (",".join(written.COLUMNS[1:]) + "\n" + ",".join(["1"] * 711) + "\n", "its timestamps do not advance"),
        (",".join(written.COLUMNS) + "\n", "has 0 frames"),
        (",".join(written.COLUMNS) + "\n" + ",".join(["x"] * 712) + "\n", "cannot be read as CSV"),
        (",".join(written.COLUMNS) + "\n" + ",".join(["-1"] * 712) + "\n", "has a row whose frame is not a number"),
    ],
)
def test_useless_csv_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "clip.csv"
    path.write_text(text)
    with pytest.raises(CfnsrError, match=rf"clip\.csv: {message}"):
        openface.read(path)


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


def face(x: float, y: float, half: float = 20.0) -> np.ndarray:
    """Return 68 points of an upright face: eyes above the mouth."""
    points = np.random.default_rng(0).uniform(-half, half, (68, 2))
    points[36:48] = np.random.default_rng(1).uniform(-half, half, (12, 2)) * [1, 0.1] + [0, -half / 2]
    points[48:68] = np.random.default_rng(2).uniform(-half, half, (20, 2)) * [0.5, 0.1] + [0, half / 2]
    return points + np.array([x, y])


def csv_of(
    path: Path, rows: list[tuple[int, np.ndarray]], *, columns: tuple[str, ...] = ("frame", "timestamp")
) -> Path:
    """Write rows of (frame from 1, points)."""
    head = [*columns, "face_id", "confidence", *(f"{axis}_{number}" for axis in "xy" for number in range(68))]
    lines = [",".join(head)]
    for frame, points in rows:
        places = {"frame": frame, "timestamp": (frame - 1) / 25}
        lines.append(",".join(map(str, [*(places[name] for name in columns), 0, 0.9, *points[:, 0], *points[:, 1]])))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("columns", [("frame", "timestamp"), ("frame",), ("timestamp",)])
def test_rows_are_placed_by_frame(tmp_path: Path, columns: tuple[str, ...]) -> None:
    rows = [(frame, face(100 + frame, 80)) for frame in (1, 2, 4, 5, 6, 9)]
    read = openface.read(csv_of(tmp_path / "clip.csv", rows, columns=columns))
    assert np.flatnonzero(read.confidence).tolist() == [0, 1, 3, 4, 5, 8]
    assert np.allclose(read.points[3], face(104, 80)) and np.isnan(read.points[[2, 6, 7]]).all()


def test_one_person_of_two_is_read(tmp_path: Path) -> None:
    left, right = (lambda frame: face(60 + frame, 80)), (lambda frame: face(260 - frame, 80, half=30))
    rows = [
        (frame, person(frame)) for frame in range(1, 11) for person in (left, right) if (frame, person) != (5, left)
    ]
    read = openface.read(csv_of(tmp_path / "clip.csv", rows))
    assert len(read.points) == 10 and (read.confidence == 0.9).all()
    assert np.allclose(read.points[7], right(8))


def find(tmp_path: Path, points: np.ndarray, **options: Any) -> Landmarks:
    """Find the landmarks of a clip of ten frames, whose CSV has the same points in each frame."""
    path = numbered(tmp_path / "clip.mp4", frames=10, **options)
    csv_of(path.with_suffix(".csv"), [(frame, points) for frame in range(1, 11)])
    return landmarks.finder("openface", tmp_path / "none.parquet")(Clip("clip", path, "01", "sad"))


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
