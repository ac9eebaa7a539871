"""The stage features, on files that these tests write."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cfnsr.errors import CfnsrError
from cfnsr.features import files
from cfnsr.preprocessing import face_boxes
from stages.features import main
from tests.support.media import tone
from tests.support.training import write_params

NAMES = ("03a01Fa", "03a01Wb", "03a02Nc")  # EmoDB's


def run(folder: Path, *, status: int = 0, **values: object) -> str:
    write_params(folder / "params.yaml", **values)
    face_boxes.write(folder / "boxes.parquet", {}, {})
    arguments = ["emodb", "mel_statistics", str(folder / "raw"), str(folder / "boxes.parquet"), str(folder / "out")]
    result = CliRunner().invoke(main, [*arguments, "--params", str(folder / "params.yaml")])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    for number, name in enumerate(NAMES, start=1):
        tone(tmp_path / f"raw/{name}.wav", pitch_hz=150.0 * number)
    return tmp_path


def test_features_of_a_speaker_are_written(folder: Path) -> None:
    run(folder)
    found = files.read(folder / "out")
    assert found.means.shape == (3, 1, 80) and found.facts.name == "mel_statistics" and not found.skipped
    assert found.index["clip"].tolist() == list(NAMES) and set(found.index["actor"]) == {"03"}
    before = (folder / "out/means.npy").read_bytes()
    run(folder)
    assert (folder / "out/means.npy").read_bytes() == before


def test_bad_clip_is_skipped_with_its_reason(folder: Path) -> None:
    (folder / "raw/03a01Fa.wav").write_bytes(b"")
    assert "03a01Fa.wav: is not a readable media file" in run(folder, status=1)
    run(folder, on_bad_clip="skip")
    found = files.read(folder / "out")
    assert found.index["clip"].tolist() == list(NAMES[1:]) and set(found.skipped) == {"03a01Fa"}
    for name in NAMES[1:]:
        (folder / f"raw/{name}.wav").write_bytes(b"")
    assert "none of its clips has features; 03a01Fa" in run(folder, status=1, on_bad_clip="skip")


def test_damaged_features_are_named(folder: Path) -> None:
    run(folder)
    (folder / "out" / files.FACTS).write_text(json.dumps({"name": "other"}))
    with pytest.raises(CfnsrError, match=r"extractor.json: is not the facts of a frozen encoder .* then `dvc repro`"):
        files.read(folder / "out")
    pd.DataFrame({"clip": ["a"]}).to_parquet(folder / "out" / files.INDEX)
    with pytest.raises(CfnsrError, match="is not the index of features"):
        files.read(folder / "out")
