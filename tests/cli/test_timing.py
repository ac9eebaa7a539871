from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cfnsr.cli import timing
from cfnsr.errors import CfnsrError


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(timing, "_facts", {})
    (tmp_path / "dvc.yaml").write_text("stages: {crop: {}, pretrain: {}, train: {}}\n")
    return tmp_path / "data/logs"


def log(monkeypatch: pytest.MonkeyPatch, stage: str, **facts: str) -> None:
    monkeypatch.setenv("DVC_STAGE", stage)
    timing.log_fact(**facts)
    timing.log_time()


def test_times_are_summed_in_the_stages_order(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("train@studio-a", "pretrain@studio-a", "pretrain@studio-b", "crop@ravdess-01", "gone@studio"):
        log(monkeypatch, stage)
    times = timing.read_times("studio")
    assert list(times) == ["pretrain", "train"] and times["pretrain"][0] == 2 and times["train"][1] > 0
    assert list(timing.read_times("ravdess")) == ["crop"]


def test_a_clock_set_back_changes_no_time(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    log(monkeypatch, "crop@studio-01")
    assert 0 < timing.read_times("studio")["crop"][1] < 3600


def test_facts_stand_beside_the_times(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(monkeypatch, "sub/dvc.yaml:train@studio-a", device="cpu, 2 threads")
    assert json.loads((logs / "train@studio-a.json").read_text())["device"] == "cpu, 2 threads"
    assert timing.read_facts("studio", "device") == ["cpu, 2 threads"] and timing.read_facts("ravdess", "device") == []


def test_jobs_times_are_averaged_by_row(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for fold, seconds in ((1, 2.0), (2, 4.0)):
        log(monkeypatch, f"train@studio-held_out-cfnsr-fold_{fold}-7", protocol="held_out", row="cfnsr")
        path = logs / f"train@studio-held_out-cfnsr-fold_{fold}-7.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"wall_s": seconds}))
    monkeypatch.setattr(timing, "_facts", {})
    log(monkeypatch, "crop@studio-01")
    assert timing.read_job_times("studio") == {("held_out", "cfnsr"): (2, 3.0)}
    assert timing.read_job_times("ravdess") == {}


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"stage": "crop@studio-01"}'])
def test_a_foreign_log_is_named(logs: Path, text: str) -> None:
    logs.mkdir(parents=True)
    (logs / "other.json").write_text(text)
    with pytest.raises(CfnsrError, match=r"other\.json: is not the log of a stage \(.+\)\. Delete it"):
        timing.read_times("studio")
    (logs / "sound.json").write_text('{"stage": "crop@studio-01", "wall_s": 2.5}')
    assert timing.read_seconds(logs.parents[1]) == {"crop@studio-01": 2.5}


def test_without_dvc_nothing_is_written(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    timing.log_time()
    assert not logs.exists()
