from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.report import files, results
from cfnsr.report.results import Results
from tests.support import made_up_results


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made_up_results.gathered(tmp_path_factory.mktemp("corpus"), made_up_results.manifest())


@pytest.fixture(scope="module")
def out(figures: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metrics")
    files.write(folder, figures, made_up_results.manifest())
    return folder


def test_rows_are_read_back_as_written(figures: Results, out: Path) -> None:
    assert files.read(out) == figures.rows and files.read_differences(out) == figures.differences


def test_metrics_are_accuracy_and_uar(figures: Results, out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == {
        "accuracy": {row.name: round(row.accuracy, 4) for row in figures.rows},
        "uar": {row.name: round(row.uar, 4) for row in figures.rows},
        "clips": 32,
        "skipped": 0,
    }


def test_test_selected_accuracy_is_called_optimistic(figures: Results, tmp_path: Path) -> None:
    selected = replace(figures.rows[0], name="video@test_selected", protocol="test_selected")
    files.write(tmp_path, replace(figures, rows=[*figures.rows, selected]), made_up_results.manifest())
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics["accuracy"]) == list(made_up_results.SKILLS)
    assert metrics["optimistic_accuracy"] == {"video@test_selected": round(selected.accuracy, 4)}
    assert list(metrics["optimistic_uar"]) == ["video@test_selected"]


def test_figures_of_contaminated_rows_are_apart(figures: Results, tmp_path: Path) -> None:
    seen = replace(figures.rows[1], name="knowing", seen="yes")
    files.write(tmp_path, replace(figures, rows=[figures.rows[0], seen]), made_up_results.manifest())
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics["accuracy"]) == ["video"] and list(metrics["seen_accuracy"]) == ["knowing"]
    assert pd.read_csv(tmp_path / "results.csv")["seen"].tolist() == ["no", "yes"]
    assert "| knowing, has seen this corpus |" in (tmp_path / "report.md").read_text()


def test_plots_data_is_that_of_the_predictions(out: Path) -> None:
    for name in made_up_results.SKILLS:
        pairs, table = pd.read_csv(out / "confusion" / f"{name}.csv"), made_up_results.predictions(name)
        assert sorted(zip(pairs["actual"], pairs["predicted"], strict=True)) == sorted(
            zip(table["label"], table["predicted"], strict=True)
        )
        assert list(pd.read_csv(out / "curves" / f"{name}.csv")) == [
            *("epoch", "test_accuracy", "train_loss", "validation_loss", "validation_accuracy", "trials")
        ]
    assert list(pd.read_csv(out / "recall.csv")) == ["name", "label", "recall", "clips"]


def test_a_single_row_has_no_comparisons(tmp_path: Path) -> None:
    made_up_results.write_jobs(tmp_path, made_up_results.expected("audio"))
    figures = results.gather(
        tmp_path, made_up_results.manifest(), expected=made_up_results.expected("audio"), ci_level=0.95
    )
    files.write(tmp_path, figures, made_up_results.manifest())
    assert files.read_differences(tmp_path) == [] and [row.name for row in files.read(tmp_path)] == ["audio"]


def test_texts_that_look_like_numbers_stay_texts(figures: Results, tmp_path: Path) -> None:
    row = replace(figures.rows[0], name="1", seeds="7", data="1e5", reconstructed="nan")
    pd.DataFrame([asdict(row)]).to_csv(tmp_path / "results.csv", index=False)
    assert files.read(tmp_path) == [row]


def test_a_table_of_another_version_is_rejected(out: Path, tmp_path: Path) -> None:
    text = (out / "results.csv").read_text()
    header, first, *_ = text.splitlines(keepends=True)
    for changed, problem in (
        ("", "is not a table .No columns"),
        ("name\n\x00", "is not a table .it lacks the column accuracy, "),
        (text.replace("clips", "files"), "is not a table .it lacks the column clips"),
        (header, "has no rows"),
        (header + first[: len(first) // 2], "is not a table of results"),
        (header + first.replace(",32,", ",many,"), "is not a table of results"),
    ):
        (tmp_path / "results.csv").write_text(changed)
        with pytest.raises(CfnsrError, match=rf"results\.csv: {problem}.* then `dvc repro"):
            files.read(tmp_path)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"results\.csv: is missing"):
        files.read(tmp_path)
    with pytest.raises(CfnsrError, match=r"comparisons\.csv: is missing"):
        files.read_differences(tmp_path)
