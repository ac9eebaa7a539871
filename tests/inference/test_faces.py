"""Several people: who is asked for, and who is who over time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import cfnsr
from cfnsr.errors import CfnsrError
from cfnsr.inference import faces
from cfnsr.inference.model import Model
from cfnsr.inference.recordings import Recording
from cfnsr.preprocessing import media, video
from cfnsr.preprocessing.landmarks import face_align, face_mesh
from tests.inference.conftest import Saved


@pytest.fixture(scope="module")
def pictures(studio_actor: Path) -> np.ndarray:
    """A face in the middle of pictures, six seconds."""
    path = sorted(studio_actor.glob("*.mp4"))[0]
    times = media.timeline(path)
    shown = video.frames(path, times, list(range(0, 60, 6)), decoder="pyav")
    return np.repeat(np.stack([frame.image[:, 140:500] for frame in shown]), 6, axis=0)


def beside(left: np.ndarray, right: np.ndarray) -> Recording:
    return Recording(np.concatenate([left, right], axis=2), 10.0)


def smaller(pictures: np.ndarray) -> np.ndarray:
    shrunk = np.stack([cv2.resize(picture, (270, 270)) for picture in pictures])
    return np.pad(shrunk, [(0, 0), (45, 45), (45, 45), (0, 0)], mode="edge")


@pytest.fixture
def model(saved: Callable[..., Saved]) -> Model:
    return cfnsr.load(saved("video", "face_mesh")[0], device="cpu")


def test_everybody_has_a_row_of_their_own(model: Model, pictures: np.ndarray) -> None:
    two = beside(smaller(pictures), pictures)
    table = model.predict(two, window_s=2.0, face="all")
    by_person = table.groupby("person")["box_x"]
    assert len(table) == 6 and by_person.count().tolist() == [3, 3] and by_person.std().max() < 10
    assert sorted(by_person.mean().round(-2)) == [200, 600]
    of = {face: model.predict(two, window_s=2.0, face=face) for face in ("largest", "left", "right")}
    assert (of["largest"]["box_x"] > 360).all() and of["largest"]["box_x"].equals(of["right"]["box_x"])
    assert (of["left"]["box_x"] < 360).all() and (of["left"]["box_side"] < 0.9 * of["largest"]["box_side"]).all()


def test_people_keep_their_number_when_one_leaves(model: Model, pictures: np.ndarray) -> None:
    empty = np.full_like(pictures, 90)
    leaves = smaller(pictures).copy()
    leaves[20:] = 90
    appears = pictures.copy()
    appears[:20] = 90
    table = model.predict(beside(leaves, appears), window_s=2.0, face="largest")
    assert table["person"].tolist() == [0, 1, 1] and table["box_x"].diff()[1] > 200
    nobody = model.predict(beside(empty, empty), window_s=2.0, face="all")
    assert (nobody["missing"] == "face").all() and len(nobody) == 3


def test_unknown_choice_is_refused(model: Model, pictures: np.ndarray) -> None:
    with pytest.raises(CfnsrError, match="Choose one of: largest, all, left, right"):
        model.predict(beside(pictures, pictures), face="longest")


def test_csv_is_used_where_it_made_the_training_clips(saved: Callable[..., Saved], studio_actor: Path) -> None:
    clip = sorted(studio_actor.glob("*.mp4"))[0]
    for source in ("openface", "face_mesh"):
        table = cfnsr.load(saved("video", source)[0], device="cpu").predict(clip)
        assert table.attrs["landmarks"] == {str(clip): source}


def test_video_without_csv_has_its_faces_detected(
    saved: Callable[..., Saved], studio_actor: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.symlink_to(sorted(studio_actor.glob("*.mp4"))[0])
    table = cfnsr.load(saved("video", "openface")[0], device="cpu").predict(clip)
    assert table.attrs["landmarks"] == {str(clip): "face_mesh"} and (table["missing"] == "").all()


def missing(*arguments: object, **options: object) -> None:
    raise CfnsrError("landmarks", "needs a package that is missing", "Install it")


def test_other_detector_takes_the_place_of_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faces.detector({"source": "face_mesh", "min_score": 0.3})[0] == "face_mesh"
    monkeypatch.setattr(face_mesh, "detector", missing)
    assert faces.detector({"source": "openface"})[0] == "face_align (dlib)"  # there are no weights of the first one
    monkeypatch.setattr(face_align, "faces", missing)
    with pytest.raises(CfnsrError, match="no detector can be used"):
        faces.detector({})
