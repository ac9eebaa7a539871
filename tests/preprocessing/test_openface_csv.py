from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cfnsr.corpora.studio.prepare import openface as written
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import openface_csv
from cfnsr.preprocessing.landmarks import Landmarks
from tests.support.openface import csv_of, face

LANDMARKS = Landmarks(np.random.default_rng(0).uniform(0, 700, (20, 68, 2)).round(3), np.full(20, 0.9), 30.0)


def test_csv_file_is_read_as_written(tmp_path: Path) -> None:
    written.write(tmp_path / "clip.csv", LANDMARKS.points, 0.9, LANDMARKS.frame_rate_hz)
    back = openface_csv.read(tmp_path / "clip.csv")
    assert np.array_equal(back.points, LANDMARKS.points) and np.array_equal(back.confidence, LANDMARKS.confidence)
    assert back.frame_rate_hz == pytest.approx(30, rel=1e-3)


def test_other_versions_are_read_by_name(tmp_path: Path) -> None:
    written.write(tmp_path / "clip.csv", LANDMARKS.points, 0.9, LANDMARKS.frame_rate_hz)
    lines = (tmp_path / "clip.csv").read_text().splitlines()
    spaced = [", ".join(["frame", "face_id", *lines[0].split(",")[1:], "success"])]
    spaced += [", ".join([cells[0], "0", *cells[1:], "1"]) for cells in (line.split(",") for line in lines[1:])]
    (tmp_path / "spaced.csv").write_text("\n".join(spaced) + "\n")
    assert np.array_equal(openface_csv.read(tmp_path / "spaced.csv").points, LANDMARKS.points)


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
        openface_csv.read(path)


@pytest.mark.parametrize("columns", [("frame", "timestamp"), ("frame",), ("timestamp",)])
def test_rows_are_placed_by_frame(tmp_path: Path, columns: tuple[str, ...]) -> None:
    rows = [(frame, face(100 + frame, 80)) for frame in (1, 2, 4, 5, 6, 9)]
    read = openface_csv.read(csv_of(tmp_path / "clip.csv", rows, columns=columns))
    assert np.flatnonzero(read.confidence).tolist() == [0, 1, 3, 4, 5, 8]
    assert np.allclose(read.points[3], face(104, 80)) and np.isnan(read.points[[2, 6, 7]]).all()


def test_frames_may_be_counted_from_zero(tmp_path: Path) -> None:
    rows = [(frame, face(100 + frame, 80)) for frame in (2, 3, 5)]  # the first has no face
    path = csv_of(tmp_path / "clip.csv", rows)
    lines = path.read_text().splitlines()
    from_zero = [",".join([str(int(cells[0]) - 1), *cells[1:]]) for cells in (line.split(",") for line in lines[1:])]
    path.write_text("\n".join([lines[0], *from_zero]) + "\n")
    assert np.flatnonzero(openface_csv.read(path).confidence).tolist() == [1, 2, 4]


def test_one_person_of_two_is_read(tmp_path: Path) -> None:
    left, right = (lambda frame: face(60 + frame, 80)), (lambda frame: face(260 - frame, 80, half=30))
    rows = [
        (frame, person(frame)) for frame in range(1, 11) for person in (left, right) if (frame, person) != (5, left)
    ]
    read = openface_csv.read(csv_of(tmp_path / "clip.csv", rows))
    assert len(read.points) == 10 and (read.confidence == 0.9).all()
    assert np.allclose(read.points[7], right(8))


def test_person_is_chosen_within_the_part(tmp_path: Path) -> None:
    rows = [(frame, face(60, 80)) for frame in range(1, 21)] + [(frame, face(260, 80)) for frame in range(15, 18)]
    path = csv_of(tmp_path / "clip.csv", sorted(rows, key=lambda row: row[0]))
    read = openface_csv.read(path, part=slice(13, 18), face="right")
    assert len(read.points) == 20 and np.flatnonzero(read.confidence).tolist() == [14, 15, 16]
    assert np.allclose(read.points[14], face(260, 80))
    assert np.flatnonzero(openface_csv.read(path, part=slice(13, 18)).confidence).tolist() == [13, 14, 15, 16, 17]
    assert not openface_csv.read(path, part=slice(30, 40)).confidence.any()
