"""The stages from clips to the manifest run without DVC, by the command lines of dvc.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cfnsr.config import preset
from cfnsr.data import shards
from tests.support import corpus

SMALL = {
    "actors": corpus.ACTORS,
    "folds": {f"fold_{number}": [actor] for number, actor in enumerate(corpus.ACTORS, start=1)},
    "corpora": {"studio": {"statements": [1], "width": 320, "height": 240}},
    "extract": {"video": {"frames": 2, "side_px": 16}},
}


def test_stages_run_by_python_without_dvc(tmp_path: Path, root: Path) -> None:
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text())
    preset.update(tmp_path / "params.yaml", SMALL)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC")}

    def run(stage: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"stages.{stage}", *arguments]
        process = subprocess.run(
            command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(root)}, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stderr

    data = "data/studio"
    run("published_landmarks", "studio", f"{data}/published_landmarks")
    run("download", "studio", "01", f"{data}/raw/01")
    run("landmarks", "studio", f"{data}/raw/01", f"{data}/published_landmarks", f"{data}/landmarks/01.parquet")
    run("crop", f"{data}/landmarks/01.parquet", f"{data}/faces/01.parquet")
    run("extract", "studio", f"{data}/raw/01", f"{data}/faces/01.parquet", f"{data}/extracted")
    shard = shards.read(tmp_path / data / "extracted")
    assert len(shard.index) == 8 and shard.arrays["frames"].shape == (8, 2, 16, 16, 3)
    corpus.write(tmp_path / data / "shards")
    run("check", "studio", data)
    manifest = json.loads((tmp_path / data / "manifest.json").read_text())
    assert manifest["clips"] == dict.fromkeys(corpus.ACTORS, 8)
    assert json.loads((tmp_path / data / "validation.json").read_text())["contradictions"] == 0
    assert not list((tmp_path / "data").rglob(".partial-*"))
