from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from cfnsr.data.jobs import JobPaths, JobRecord, read_predictions
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError

RECORD = JobRecord(
    name="cfnsr",
    protocol="held_out",
    fold="fold_1",
    seed=7,
    data="0123",
    parameters=12,
    reads=["audio", "video"],
    reconstructed="",
    published_accuracy=None,
    imported=[],
    epochs=3,
    selected_epoch=2,
    best_test_epoch=1,
)


def test_a_job_has_folders_by_its_trial() -> None:
    paths = JobPaths.of(Path("data/studio"), "cfnsr", Trial("held_out", "fold_1", 7))
    assert paths.checkpoint == Path("data/studio/models/held_out/cfnsr/fold_1/7/model.safetensors")
    assert paths.record == Path("data/studio/jobs/held_out/cfnsr/fold_1/7/record.json")
    assert paths.predictions == Path("data/studio/jobs/held_out/cfnsr/fold_1/7/predictions.parquet")
    assert paths.curves == Path("data/studio/jobs/held_out/cfnsr/fold_1/7/curves")
    assert paths.resume == Path("data/.resume/studio/held_out/cfnsr/fold_1/7")


def test_a_record_is_read_as_written(tmp_path: Path) -> None:
    RECORD.write(tmp_path / "record.json")
    assert JobRecord.read(tmp_path / "record.json") == RECORD


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps(asdict(RECORD) | {"scores": 1})])
def test_another_file_is_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    with pytest.raises(CfnsrError, match=r"record\.json: is missing"):
        JobRecord.read(path)
    path.write_text(text)
    with pytest.raises(CfnsrError, match="is not the record of a job"):
        JobRecord.read(path)


def test_faulty_predictions_are_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(CfnsrError, match=r"predictions\.parquet: is missing\. Run `dvc repro`"):
        read_predictions(path)
    table = pd.DataFrame({"choice": ["selected"], "clip": "a", "actor": "01", "label": "calm", "predicted": "sad"})
    table.to_parquet(path)
    assert read_predictions(path).equals(table)
    table.drop(columns="choice").to_parquet(path)
    with pytest.raises(CfnsrError, match=r"is not a table of predictions \(it lacks the column choice\)"):
        read_predictions(path)
    for content in (path.read_bytes()[:-100], b"", b"choice,clip"):
        path.write_bytes(content)
        with pytest.raises(
            CfnsrError, match=r"predictions\.parquet: is not a table of predictions \(.+\)\. Run"
        ) as error:
            read_predictions(path)
        assert "\n" not in str(error.value)
