"""One small actor of studio, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cfnsr.corpora.studio import prepare

ACTOR = "04"
OPTIONS: dict[str, Any] = {
    "seed": 1,
    "statements": [1],
    "repetitions": 1,
    "intensities": ["normal"],
    "width": 640,
    "height": 360,
    "frame_rate": "30000/1001",
    "crf": 23,
    "x264_preset": "ultrafast",
    "b_frames": 3,
    "rate_hz": 48000,
    "face_noise": 1.0,
    "pose_noise": 1.0,
    "voice_noise": 1.0,
    "hiss_db": -62.0,
}


def make(folder: Path, actor: str = ACTOR, jobs: int = 2, **changes: Any) -> Path:
    """Write an actor's clips, with OpenFace's CSV files beside them."""
    folder.mkdir(exist_ok=True)
    prepare.prepare(actor, folder, **{**OPTIONS, **changes}, source=None, jobs=jobs)
    return folder
