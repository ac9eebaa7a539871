"""A corpus with sound only, or with pictures only, runs from its files to the table by the stages of dvc.yaml."""

from __future__ import annotations

import json
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cfnsr.config import preset
from cfnsr.corpora import filenames
from cfnsr.preprocessing import face_boxes
from cfnsr.preprocessing.face_boxes import FaceBoxes
from tests.support.corpus import ACTORS
from tests.support.media import numbered, tone

DATA = "data/studio"
RATE_HZ = 16000
SMALL: dict[str, Any] = {
    "actors": ACTORS,
    "folds": {"fold_1": ["01"], "fold_2": ["02"]},
    "corpora": {"studio": {"statements": [1], "repetitions": 1}},
    "parallel": {"jobs": 1},
    "extract": {
        "offset_s": 0.0,
        "window_s": 0.6,
        "video": {"frames": 4, "side_px": 16},
        "audio": {"rate_hz": RATE_HZ, "n_fft": 512, "hop": 256, "mels": 32},
    },
    "encoders": {"video": {"options": {"width": 8, "cardinality": 2}}},
    "pretrain": {"video": {"epochs": 1}, "audio": {"epochs": 1}},
    "train": {"threads": 1},
    "run": {"combine": [], "train": []},
}


def stage(command: str, status: int = 0) -> str:
    name, *arguments = command.split()
    result = CliRunner(env={"DVC_STAGE": None}).invoke(import_module(f"stages.{name}").main, arguments)
    assert result.exit_code == status, result.output
    return result.output


def write_video(path: Path, number: int) -> None:
    numbered(path, frames=5, width=64, height=64, first=5 * number, sound_s=None, b_frames=0)


def write_clips(modality: str) -> None:
    """Write a clip of each emotion and speaker; and of videos the boxes of the faces."""
    for actor in ACTORS:
        raw = Path(DATA, "raw", actor)
        raw.mkdir(parents=True)
        boxes = {}
        for number, take in enumerate(filenames.takes([1], 1, ["normal"])):
            stem = filenames.stem(take, actor)
            if modality == "audio":
                tone(raw / f"{stem}.wav", pitch_hz=150.0 * (number + 8 * int(actor) + 1))
            else:
                write_video(raw / f"{stem}.mp4", number + 8 * int(actor))
                boxes[stem] = FaceBoxes(np.full((5, 3), 32.0), np.full(5, 0.9), np.zeros(5, dtype=bool))
        if modality == "audio":
            Path(DATA, "published_landmarks").mkdir(exist_ok=True)
            stage(f"landmarks studio {raw} {DATA}/published_landmarks {DATA}/landmarks/{actor}.parquet")
            stage(f"crop {DATA}/landmarks/{actor}.parquet {DATA}/faces/{actor}.parquet")
        else:
            face_boxes.write(Path(DATA, "faces", f"{actor}.parquet"), boxes, {})


@pytest.mark.parametrize(
    ("modality", "arrays", "said"),
    [("audio", {"mel", "mfcc"}, "sound only"), ("video", {"frames"}, "pictures only")],
)
def test_one_modality_runs_to_the_table(tmp_path: Path, root: Path, modality: str, arrays: set[str], said: str) -> None:
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text())
    (tmp_path / "presets").symlink_to(root / "presets")
    rows = {"run": {**SMALL["run"], "pretrain": [modality]}}
    preset.update(tmp_path / "params.yaml", {**SMALL, **rows, "modalities": [modality]})
    with chdir(tmp_path):
        write_clips(modality)
        for actor in ACTORS:
            stage(f"extract studio {DATA}/raw/{actor} {DATA}/faces/{actor}.parquet {DATA}/shards/{actor}")
        stage(f"check studio {DATA}")
        for fold in SMALL["folds"]:
            stage(f"pretrain {modality} held_out {fold} 1234 {DATA}")
        stage(f"best {DATA}")
        stage(f"report {DATA} metrics/studio")

    files = {path.stem for path in (tmp_path / DATA / "shards/01").glob("*.npy")}
    manifest = json.loads((tmp_path / DATA / "manifest.json").read_text())
    assert files == arrays == set(manifest["shapes"])
    assert ("landmarks" in manifest["preprocessing"]) == (modality == "video")
    assert json.loads((tmp_path / DATA / "validation.json").read_text())["findings"]["sound_offset"] == 0
    predictions = pd.read_parquet(tmp_path / DATA / f"jobs/held_out/{modality}/fold_1/1234/predictions.parquet")
    assert set(predictions["choice"]) == {"selected", "last_epoch", "best_test_epoch", "validation"}
    table = (tmp_path / "metrics/studio/report.md").read_text()
    assert f"# studio, {said}: 16 clips" in table
    assert "No face" not in table and "No voice" not in table
    page = (tmp_path / "metrics/studio/report.html").read_text()
    assert said in page and ("Log-mel" in page) == (modality == "audio")
    assert ("Frames of the face" in page) == (modality == "video")
