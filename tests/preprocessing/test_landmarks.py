from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import face_boxes, landmarks
from cfnsr.preprocessing.landmarks import Landmarks

LANDMARKS = Landmarks(np.random.default_rng(0).uniform(0, 700, (20, 68, 2)).round(3), np.full(20, 0.9), 30.0)


def test_landmarks_survive_their_file(tmp_path: Path) -> None:
    edge = Landmarks(LANDMARKS.points, np.full(20, 0.7), LANDMARKS.frame_rate_hz)
    landmarks.write(tmp_path / "04.parquet", {"one": LANDMARKS, "two": edge}, {"three": "has no face"})
    by_clip, skipped = landmarks.read(tmp_path / "04.parquet")
    assert list(by_clip) == ["one", "two"] and skipped == {"three": "has no face"}
    assert np.abs(by_clip["one"].points - LANDMARKS.points).max() < 1e-4
    options = {
        "min_confidence": 0.7,
        "min_tracked": 1.0,
        "margin": 0.3,
        "smoothing_s": 0.1,
        "side_smoothing_s": 0.0,
        "where": tmp_path,
    }
    assert np.allclose(
        face_boxes.compute(by_clip["two"], **options).boxes, face_boxes.compute(edge, **options).boxes, atol=1e-3
    )
    landmarks.write(tmp_path / "none.parquet", {}, {"three": "has no face"})
    assert landmarks.read(tmp_path / "none.parquet") == ({}, {"three": "has no face"})
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(CfnsrError, match="is not a file of landmarks"):
        landmarks.read(tmp_path / "junk.parquet")


def test_unknown_source_is_refused() -> None:
    with pytest.raises(CfnsrError, match=r"landmarks\.source: there is no source of landmarks 'eyes'"):
        landmarks.finder("eyes", Path("none.parquet"))
