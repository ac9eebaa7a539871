from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.corpora.studio.prepare import openface as written
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks
from cfnsr.preprocessing.landmarks import Landmarks, openface

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
        ("", "lacks the columns timestamp, confidence, x_0 and 135 more"),
        ("frame,timestamp,confidence\n1,0,0.9\n", "lacks the columns x_0, x_1, x_2 and 133 more"),
        (",".join(written.COLUMNS) + "\n", "has 0 frames"),
        (",".join(written.COLUMNS) + "\n" + ",".join(["x"] * 712) + "\n", "cannot be read as CSV"),
        (
            ",".join(written.COLUMNS) + "\n" + "\n".join([",".join(["1"] * 712)] * 3) + "\n",
            "its timestamps do not advance",
        ),
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
        written.write(tmp_path / f"{name}.csv", LANDMARKS.points + 1, 0.9, LANDMARKS.frame_rate_hz)
    find = landmarks.finder("openface", published)
    assert np.allclose(find(clips[0]).points, LANDMARKS.points, atol=1e-3)
    with pytest.raises(CfnsrError, match=r"04\.parquet: b: has no face"):
        find(clips[1])
    assert np.allclose(find(clips[2]).points, LANDMARKS.points + 1, atol=1e-3)
    with pytest.raises(CfnsrError, match=r"d\.mp4: has no landmarks"):
        find(clips[3])
