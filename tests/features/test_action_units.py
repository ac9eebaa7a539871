from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.files import ClipFeatures
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.preprocessing.openface_csv import ACTION_UNITS
from tests.support.media import numbered
from tests.support.openface import csv_of, face

UNITS = np.random.default_rng(0).uniform(0, 5, (50, 35)).round(2)
ROWS = [(frame, face(60, 80)) for frame in range(1, 51)]


def extract(*clips: Clip, boxes: dict[str, FaceBoxes] | None = None) -> list[ClipFeatures | CfnsrError]:
    extractor = extractors.load("action_units", {"min_confidence": 0.8}, "features.units")
    return [of_clip for _, of_clip in extractor.features(clips, boxes or {})]


def clip_of(path: Path, **changes: object) -> Clip:
    return Clip(path.stem, path.with_suffix(".mp4"), "01", "sad", **changes)  # pyright: ignore[reportArgumentType]


def expected(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values.mean(axis=0), values.std(axis=0), np.percentile(values, 90, axis=0)])[None]


def test_columns_are_intensities_then_presences() -> None:
    assert [name[-1] for name in ACTION_UNITS] == ["r"] * 17 + ["c"] * 18
    assert [name[:4] for name in ACTION_UNITS[17:] if name != "AU28_c"] == [name[:4] for name in ACTION_UNITS[:17]]


def test_statistics_are_of_confident_frames(tmp_path: Path) -> None:
    sure = np.where(np.arange(50) % 5, 0.9, 0.7)
    (found,) = extract(clip_of(csv_of(tmp_path / "clip.csv", ROWS, confidence=sure.tolist(), units=UNITS)))
    assert isinstance(found, ClipFeatures) and found.means.shape == (1, 105)
    assert np.allclose(found.means, expected(UNITS[sure > 0.8]), atol=1e-6)
    assert found.seconds == pytest.approx(40 / 25)


def test_part_and_person_are_the_clips_own(tmp_path: Path) -> None:
    numbered(tmp_path / "call.mp4", frames=50, rate=Fraction(25), sound_s=None)
    other = [(frame, face(260, 80)) for frame in range(1, 51)]
    order = np.argsort([frame for frame, _ in ROWS + other], kind="stable")
    rows, units = [(ROWS + other)[row] for row in order], np.concatenate([UNITS, UNITS + 1])[order]
    path = csv_of(tmp_path / "call.csv", rows, units=units)
    clips = [clip_of(path, start_s=0.4, end_s=1.2, face=side) for side in ("left", "right")]
    for found, values in zip(extract(*clips), (UNITS, UNITS + 1), strict=True):
        assert isinstance(found, ClipFeatures)
        assert np.allclose(found.means, expected(values[10:30]), atol=1e-6) and found.seconds == pytest.approx(0.8)


def test_length_is_the_videos_without_times(tmp_path: Path) -> None:
    numbered(tmp_path / "clip.mp4", frames=50, rate=Fraction(50), sound_s=None)
    (found,) = extract(clip_of(csv_of(tmp_path / "clip.csv", ROWS, columns=("frame",), units=UNITS)))
    assert isinstance(found, ClipFeatures) and found.seconds == pytest.approx(1.0)


def test_useless_files_are_named(tmp_path: Path) -> None:
    missing = np.where(np.arange(35) == 3, np.nan, UNITS)
    made = {
        "without": csv_of(tmp_path / "without.csv", ROWS),
        "zero": csv_of(tmp_path / "zero.csv", ROWS, units=0 * UNITS),
        "empty": csv_of(tmp_path / "empty.csv", ROWS, units=missing),
        "unsure": csv_of(tmp_path / "unsure.csv", ROWS, confidence=0.5, units=UNITS),
        "good": csv_of(tmp_path / "good.csv", ROWS, units=UNITS),
    }
    clips = [clip_of(path) for path in [*made.values(), tmp_path / "absent.csv"]]
    without, zero, empty, unsure, good, absent = extract(*clips)
    assert "lacks the columns AU01_r, AU02_r, AU04_r and 32 more. Give a file written" in str(without)
    assert "with -2Dfp -aus" in str(without) and "action units are all zero" in str(zero)
    assert "no frame of confidence 0.8 or more" in str(empty) and "no frame of confidence 0.8" in str(unsure)
    assert isinstance(good, ClipFeatures) and "absent.mp4: has no CSV file of action units" in str(absent)


def test_file_of_another_clip_is_refused(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "clip.csv", ROWS, units=UNITS)
    for frames, refused in ((49, False), (48, True)):
        boxes = FaceBoxes(np.ones((frames, 3)), np.ones(frames), np.zeros(frames, bool))
        (found,) = extract(clip_of(path), boxes={"clip": boxes})
        assert isinstance(found, CfnsrError) is refused
        assert not refused or "has 50 frames, its clip 48" in str(found)


def test_studio_has_no_action_units(studio_actor: Path) -> None:
    (found,) = extract(Clip.from_filename(sorted(studio_actor.glob("*.mp4"))[0]))
    assert "its action units are all zero" in str(found)
