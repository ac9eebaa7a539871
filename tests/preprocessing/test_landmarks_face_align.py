"""Detected landmarks are compared with studio's exact ones.

The detector is real. The landmark network is replaced by a stub that returns known heat maps, because this repository
may not distribute its weights.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dlib
import numpy as np
import pytest
import torch
from click import Command
from click.testing import CliRunner, Result
from face_alignment import api, utils

from cfnsr.config import preset
from cfnsr.corpora import filenames
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import Take
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import face_boxes, landmarks, media, openface_csv, video
from cfnsr.preprocessing.landmarks import Landmarks, face_align
from stages.crop import main as crop
from stages.landmarks import main as landmarks_stage
from tests.support.media import numbered

WINDOW = {"offset_s": 0.5, "window_s": 2.45}
DETECTOR = cache(dlib.get_frontal_face_detector)
CHOICES: dict[str, Any] = {
    **WINDOW,
    "frames": 8,
    "decoder": "pyav",
    "detector": "dlib",
    "points": False,
    "device": "cpu",
    "batch_size": 3,
    "compile": False,
    "fetch_weights": False,
}
BOXES: dict[str, Any] = {
    "min_confidence": 0.7,
    "min_tracked": 0.5,
    "margin": 0.35,
    "smoothing_s": 0.2,
    "side_smoothing_s": 1.0,
}


@pytest.fixture(autouse=True)
def one_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build dlib's detector once."""
    monkeypatch.setattr(dlib, "get_frontal_face_detector", DETECTOR)


@pytest.fixture(scope="module")
def clips(studio_actor: Path) -> list[Clip]:
    return [Clip.from_filename(path) for path in sorted(studio_actor.glob("*.mp4"))][:3]


def finder(**changes: Any) -> Callable[[Clip], Landmarks]:
    return landmarks.finder("face_align", Path("none.parquet"), **{**CHOICES, **changes})


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of two lists of squares."""
    low = np.maximum(first[:, :2] - first[:, 2:] / 2, second[:, :2] - second[:, 2:] / 2)
    high = np.minimum(first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2)
    shared = (high - low).clip(0).prod(axis=1)
    return shared / (first[:, 2] ** 2 + second[:, 2] ** 2 - shared)


def test_detected_boxes_are_near_the_exact_ones(clips: list[Clip]) -> None:
    find = finder()
    for clip in clips:
        track, exact = find(clip), openface_csv.read(clip.path.with_suffix(".csv"))
        looked = ~np.isnan(track.confidence)
        assert looked.sum() == 8 and len(looked) == len(exact.points)
        assert np.flatnonzero(looked).tolist() == video.evenly_spaced(media.timeline(clip.path).times_s, 8, **WINDOW)
        faces = face_boxes.compute(track, **BOXES, where=clip.path)
        expected = face_boxes.compute(exact, **BOXES, where=clip.path)
        assert len(faces.boxes) == len(expected.boxes) and not faces.interpolated.any()
        assert overlap(faces.boxes, expected.boxes).min() > 0.6


def test_changed_margin_detects_nothing_again(
    clips: list[Clip], tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = Path(shutil.copy(root / "params.yaml", tmp_path))
    for folder in ("published", "raw/01"):
        Path(folder).mkdir(parents=True)
    shutil.copy(clips[0].path, "raw/01")
    source = {"source": "face_align", "face_align": {"detector": "dlib", "points": False, "batch_size": 2}}
    preset.update(params, {"landmarks": source})

    def run(main: Command, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments])

    assert run(landmarks_stage, "studio", "raw/01", "published", "landmarks.parquet").exit_code == 0
    shutil.rmtree("raw")
    monkeypatch.setattr(face_align, "finder", None)  # crop can neither detect nor read clips
    sides = {}
    for margin in (0.35, 0.7):
        preset.update(params, {"crop": {"margin": margin}})
        result = run(crop, "landmarks.parquet", f"{margin}.parquet")
        assert result.exit_code == 0, result.output
        boxes, skipped = face_boxes.read(Path(f"{margin}.parquet"))
        assert list(boxes) == [clips[0].id] and not skipped
        sides[margin] = boxes[clips[0].id].boxes[0, 2]
    assert sides[0.7] / sides[0.35] == pytest.approx((1 + 1.4) / (1 + 0.7))
    monkeypatch.undo()
    faces = finder()(clips[0])
    expected = face_boxes.compute(faces, **BOXES, where=clips[0].path)
    stored, _ = face_boxes.read(tmp_path / "0.35.parquet")
    assert np.allclose(stored[clips[0].id].boxes, expected.boxes, atol=1e-3)


def test_absent_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CfnsrError, match="is cuda, but there is no GPU"):
        finder(device="cuda")


def test_sfd_gets_batches_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stub replaces the detector, because this repository may not distribute its weights."""
    shapes: list[tuple[int, ...]] = []

    class KnownFaces:
        def __init__(self, device: str, path_to_detector: str) -> None:
            assert (device, path_to_detector) == ("cpu", "s3fd-619a316812.pth")

        def detect_from_batch(self, images: torch.Tensor) -> list[list[np.ndarray]]:
            shapes.append(tuple(images.shape))
            small, large = np.array([1, 1, 5, 5, 0.99]), np.array([2, 3, 22, 33, 0.8])
            return [[small, large] if image.max() else [] for image in images]

    monkeypatch.setattr(face_align, "weights_path", lambda name, fetch: Path(name))
    monkeypatch.setitem(sys.modules, "face_alignment.detection.sfd", SimpleNamespace(FaceDetector=KnownFaces))
    images = [np.full((48, 64, 3), value, np.uint8) for value in (9, 0, 9)]
    faces = [boxes for _, boxes in face_align.face_detector("sfd", "cpu", 2, False)(iter(images))]
    assert shapes == [(2, 3, 48, 64), (1, 3, 48, 64)]
    assert not faces[1] and [box.tolist() for box in faces[0]] == [[1, 1, 5, 5, 0.99], [2, 3, 22, 33, 0.8]]


class KnownHeatMaps(torch.nn.Module):
    """Replace the landmark network: return prepared heat maps, for a picture and then for its mirror image."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[torch.Tensor] = []

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        assert crops.shape == (1, 3, 256, 256)
        return self.answers.pop(0).clone()

    def prepare(self, points: np.ndarray, box: np.ndarray) -> None:
        """Prepare the answers for a picture with these points, cropped around a box as the package does."""
        left, top, right, bottom = box[:4]
        centre = np.array([(left + right) / 2, (top + bottom) / 2 - 0.12 * (bottom - top)])
        side = 200 * (right - left + bottom - top) / 195
        maps = torch.zeros(1, 68, 64, 64)
        grid = torch.arange(64.0) + 0.5  # the middle of each cell
        for number, (x, y) in enumerate((points - centre) / side * 64 + 32):
            maps[0, number] = torch.exp(-(((grid - x) ** 2)[None] + ((grid - y) ** 2)[:, None]) / 2)
        self.answers += [maps, utils.flip(maps, is_label=True)]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> KnownHeatMaps:
    known = KnownHeatMaps()
    # The package has no public way to replace its network.
    monkeypatch.setattr(api.FaceAlignment, "_load_native", lambda *_: known)
    for name in ("transform_np", "_get_preds_fromhm"):  # to compile them takes numba six seconds
        monkeypatch.setattr(utils, name, getattr(utils, name).py_func)
    monkeypatch.setattr(face_align, "weights_path", lambda name, fetch: Path(name))
    return known


def test_landmarks_are_where_they_are_in_the_picture(clips: list[Clip], network: KnownHeatMaps) -> None:
    clip = clips[0]
    exact = openface_csv.read(clip.path.with_suffix(".csv"))
    when = media.timeline(clip.path)
    indices = video.evenly_spaced(when.times_s, 4, **WINDOW)
    detect = face_align.face_detector("dlib", "cpu", 3, False)
    images = (frame.image for frame in video.frames(clip.path, when, indices, decoder="pyav"))
    for index, (_, (box,)) in zip(indices, detect(images), strict=True):
        network.prepare(exact.points[index], box)
    track = finder(points=True, frames=4)(clip)
    assert not network.answers
    away = np.linalg.norm(track.points[indices] - exact.points[indices], axis=2)
    width = np.ptp(exact.points[..., 0])
    assert away.max() < 0.03 * width and away.mean() < 0.01 * width


def blinded(monkeypatch: pytest.MonkeyPatch, lost: set[int]) -> None:
    """Make the real detector miss some of its images, given by their numbers."""
    real, numbers = dlib.get_frontal_face_detector(), count()

    def detect(image: np.ndarray, upsampling: int) -> Any:
        return [] if next(numbers) in lost else real(image, upsampling)

    monkeypatch.setattr(dlib, "get_frontal_face_detector", lambda: detect)


def test_missed_frames_are_interpolated_and_counted(clips: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = face_boxes.compute(finder()(clips[0]), **BOXES, where=clips[0].path)
    blinded(monkeypatch, {2, 3, 4})
    track = finder()(clips[0])
    faces = face_boxes.compute(track, **BOXES, where=clips[0].path)
    indices = np.flatnonzero(~np.isnan(track.confidence))
    assert np.flatnonzero(faces.interpolated).tolist() == indices[[2, 3, 4]].tolist()
    assert overlap(faces.boxes, whole.boxes).min() > 0.8


def test_clip_with_too_few_faces_is_refused(clips: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    blinded(monkeypatch, {0, 1, 2, 4, 5})
    with pytest.raises(CfnsrError, match="a face is tracked in 3 of 8 frames"):
        face_boxes.compute(finder()(clips[0]), **BOXES, where=clips[0].path)


def test_clip_without_a_face_is_refused(tmp_path: Path) -> None:
    stem = filenames.stem(Take("calm", "normal", 1, 1), "01")
    path = numbered(tmp_path / f"{stem}.mp4", frames=60)
    with pytest.raises(CfnsrError, match="a face is tracked in 0 of 8 frames"):
        face_boxes.compute(finder()(Clip.from_filename(path)), **BOXES, where=path)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder for weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(face_align, "SERVER", "http://127.0.0.1:1")
    yield tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"detector": "sfd"}, "s3fd-619a316812.pth"), ({"points": True}, "2DFAN4-11f355bf06.pth.tar")],
)
def test_missing_weights_are_named_with_their_path(hub: Path, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(CfnsrError) as error:
        finder(**changes)
    assert str(error.value).startswith(f"{hub / name}: is missing. Put http://127.0.0.1:1/{name} there")
    with pytest.raises(CfnsrError, match=r"cannot be fetched .*refused.*Put the file at"):
        finder(**changes, fetch_weights=True)
    hub.mkdir(parents=True, exist_ok=True)
    (hub / name).write_bytes(b"other bytes")
    with pytest.raises(CfnsrError, match="its sha256 starts with"):
        finder(**changes)


def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(CfnsrError, match=r"pip install 'cfnsr\[dlib\]'"):
        finder()
