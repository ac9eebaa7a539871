from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cfnsr.data.jobs import JobPaths
from cfnsr.data.splits import PROTOCOLS, Trial, split
from cfnsr.errors import CfnsrError
from cfnsr.report import results
from cfnsr.report.expected import ExpectedOutputs
from tests.support import made_up_results


def gather(folder: Path, expected: ExpectedOutputs) -> results.Results:
    return results.gather(folder, made_up_results.manifest(), expected=expected, ci_level=0.95)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    expected = made_up_results.expected(protocols=["held_out", "test_selected"])
    return made_up_results.write_jobs(tmp_path_factory.mktemp("corpus"), expected)


def test_every_expected_row_is_read_in_order(jobs: Path) -> None:
    figures = gather(jobs, made_up_results.expected("cfnsr", "video"))  # audio is there and not read
    assert [row.name for row in figures.rows] == ["cfnsr", "video"]
    for row in figures.rows:
        table = made_up_results.predictions(row.name)
        assert row.accuracy == (table["label"] == table["predicted"]).mean()
        predictions = figures.predictions[row.name]
        assert len(predictions) == 32 and set(predictions["fold"]) == set(made_up_results.manifest().folds)
    assert [(pair.system, pair.other) for pair in figures.differences] == [("cfnsr", "video")]
    assert figures.rows[1].p_best == figures.differences[0].p_holm and figures.rows[0].p_best is None


def test_recalls_count_clips_once(tmp_path: Path) -> None:
    expected = made_up_results.expected("audio", seeds=[7, 8])
    recalls = gather(made_up_results.write_jobs(tmp_path, expected), expected).recalls
    tables = pd.concat([made_up_results.predictions("audio", seed=seed) for seed in (7, 8)])
    for row in recalls.to_dict("records"):
        of_label = tables[tables["label"] == row["label"]]
        assert row["recall"] == pytest.approx((of_label["predicted"] == row["label"]).mean())
        assert row["clips"] == 8
    assert recalls["label"].tolist() == made_up_results.LABELS and set(recalls["name"]) == {"audio"}


def test_test_selected_rows_are_apart(jobs: Path) -> None:
    figures = gather(jobs, made_up_results.expected("video", "audio", protocols=["test_selected", "held_out"]))
    rows = {row.name: row for row in figures.rows}
    assert list(rows) == ["video@test_selected", "audio@test_selected", "video", "audio"]
    assert [(pair.system, pair.other) for pair in figures.differences] == [("video", "audio")]
    for name in ("video", "audio"):
        selected = rows[f"{name}@test_selected"]
        assert selected.gap == selected.accuracy - rows[name].accuracy and selected.temperature is None
        assert rows[name].gap == pytest.approx((rows[name].best_test_epoch or 0) - rows[name].accuracy)


def test_only_trained_rows_have_curves(tmp_path: Path) -> None:
    made_up_results.write_jobs(tmp_path, made_up_results.expected("video"))
    made_up_results.write_jobs(tmp_path, made_up_results.expected("audio"), epochs=0)
    assert list(gather(tmp_path, made_up_results.expected("video", "audio")).curves) == ["video"]


def test_curves_average_the_jobs_that_reached_an_epoch(tmp_path: Path) -> None:
    for name, epochs in (("a", 1), ("b", 3)):
        made_up_results.write_curves(tmp_path / name, epochs)
    (tmp_path / "b" / "test.csv").write_text("epoch,accuracy\n1,0.5\n2,0.25\n3,0.75\n")
    curves = results.mean_curves([tmp_path / "a", tmp_path / "b"])
    assert curves["epoch"].tolist() == [1, 2, 3] and curves["trials"].tolist() == [2, 1, 1]
    assert curves["test_accuracy"].tolist() == [0.75, 0.25, 0.75]
    for name in ("train_loss", "validation_loss", "validation_accuracy"):
        assert curves[name].tolist() == pytest.approx([1, 1 / 2, 1 / 3])


@pytest.mark.parametrize(
    "file",
    [
        lambda paths: paths.record,
        lambda paths: paths.predictions,
        lambda paths: paths.curves / "test.csv",
        lambda paths: paths.curves / "plots/metrics/validation/loss.tsv",
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, file: Callable[[JobPaths], Path]) -> None:
    expected = made_up_results.expected("audio")
    made_up_results.write_jobs(tmp_path, expected)
    path = file(JobPaths.of(tmp_path, "audio", Trial("held_out", "fold_2", made_up_results.SEED)))
    path.unlink()
    with pytest.raises(CfnsrError, match=f"{path}: is missing. Run `dvc repro`"):
        gather(tmp_path, expected)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("predictions.parquet", None, "is missing"),
        ("predictions.parquet", "damaged", "is not a table of predictions"),
        ("record.json", "{", "is not the record of a job"),
        ("curves/test.csv", "", "is not a table"),
        ("curves/test.csv", "epoch\n1\n", "is not a table .it lacks the column accuracy"),
        ("curves/plots/metrics/train/loss.tsv", "step\n0\n", "is not a table .it lacks the column loss"),
        ("curves/plots/metrics/train/loss.tsv", None, "is missing"),
    ],
)
def test_damaged_files_of_jobs_are_named(tmp_path: Path, name: str, content: str | None, problem: str) -> None:
    expected = made_up_results.expected("audio")
    made_up_results.write_jobs(tmp_path, expected)
    path = JobPaths.of(tmp_path, "audio", Trial("held_out", "fold_2", made_up_results.SEED)).results / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(CfnsrError, match=rf"fold_2/7/{name}: {problem}.*`dvc repro`"):
        gather(tmp_path, expected)


@pytest.mark.parametrize("change", [lambda table: table[::2], lambda table: pd.concat([table, table[:1]])])
def test_clips_that_lack_or_repeat_are_rejected(tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    expected = made_up_results.expected("audio")
    made_up_results.write_jobs(tmp_path, expected)
    path = JobPaths.of(tmp_path, "audio", Trial("held_out", "fold_2", made_up_results.SEED)).predictions
    table = pd.read_parquet(path)
    changed = change(table)
    changed.attrs = table.attrs
    changed.to_parquet(path, index=False)
    with pytest.raises(CfnsrError, match=r"predictions\.parquet: does not predict each clip of its speakers once"):
        gather(tmp_path, expected)


def test_predictions_of_other_emotions_are_rejected(tmp_path: Path) -> None:
    made_up_results.write_jobs(tmp_path, made_up_results.expected("audio"), ["calm", "angry"])
    with pytest.raises(CfnsrError, match=r"predictions\.parquet: .* lacks the column p_happy, p_sad"):
        gather(tmp_path, made_up_results.expected("audio"))


@pytest.mark.parametrize("change", [{"fold": "fold_1"}, {"seed": 8}])
def test_a_record_of_another_job_is_rejected(tmp_path: Path, change: dict[str, Any]) -> None:
    expected = made_up_results.expected("audio")
    made_up_results.write_jobs(tmp_path, expected)
    trial = Trial("held_out", "fold_2", made_up_results.SEED)
    record = made_up_results.record("audio", trial, **change)
    record.write(JobPaths.of(tmp_path, "audio", trial).record)
    with pytest.raises(CfnsrError, match=rf"record\.json: is of {record.fold}, seed {record.seed}"):
        gather(tmp_path, expected)


def test_a_job_of_other_data_is_rejected(tmp_path: Path) -> None:
    expected = made_up_results.expected("audio")
    made_up_results.write_jobs(tmp_path, expected, data="other")
    with pytest.raises(CfnsrError, match=r"record\.json: was made from other data than manifest\.json describes"):
        gather(tmp_path, expected)


def test_a_job_of_other_speakers_is_rejected(tmp_path: Path) -> None:
    """Two folds have changed places: two speakers would count twice, and two never."""
    expected = made_up_results.expected("audio")
    made_up_results.write_jobs(tmp_path, expected)
    folds = {f"fold_{number}": [actor] for number, actor in zip((2, 1, 3, 4), made_up_results.ACTORS, strict=True)}
    protocols = {protocol: split(protocol, made_up_results.ACTORS, folds) for protocol in PROTOCOLS}
    swapped = made_up_results.manifest(protocols=protocols)
    with pytest.raises(CfnsrError, match=r"fold_1/7/record\.json: its test speakers are 01, the fold's are 02\."):
        results.gather(tmp_path, swapped, expected=expected, ci_level=0.95)
    for trial in expected.rows["held_out", "audio"]:
        speakers = swapped.speakers(trial).lists()
        made_up_results.record("audio", trial, speakers=speakers).write(JobPaths.of(tmp_path, "audio", trial).record)
    with pytest.raises(CfnsrError, match=r"predictions\.parquet: its test speakers are 01, the fold's are 02\."):
        results.gather(tmp_path, swapped, expected=expected, ci_level=0.95)
