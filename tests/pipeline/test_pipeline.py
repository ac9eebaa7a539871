"""The results of the real tiny pipeline, from raw video to the table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cfnsr import config
from cfnsr.data import shards
from cfnsr.data.manifest import Manifest
from cfnsr.preprocessing import face_boxes
from tests.support.repository import ROOT, Repository

CHECK = "python -m stages.check studio data/studio"


@pytest.fixture(scope="module")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return finished.copy(tmp_path_factory.mktemp("repository") / "copy")


@pytest.fixture(scope="module")
def params(repository: Repository) -> config.Params:
    return config.load(repository.folder / "params.yaml")


@pytest.fixture(scope="module")
def manifest(repository: Repository) -> Manifest:
    return Manifest.read(repository.folder / "data/studio/manifest.json")


def test_a_second_run_has_nothing_to_do(repository: Repository, params: config.Params) -> None:
    jobs = len(params.folds) * len(params.run.rows)
    gathered = ["params", "published_landmarks", "check", "best", "report"]
    assert len(repository.stages) == 4 * len(params.actors) + len(gathered) + jobs
    assert not repository.repro()
    assert "Data and pipelines are up to date" in repository.dvc("status")


def test_results_prints_the_table_and_times(repository: Repository, params: config.Params) -> None:
    text = repository.cli("results")
    results = pd.read_csv(repository.folder / "metrics/studio/results.csv")
    assert results["name"].tolist() == [name for _, name in params.run.rows]
    for _, row in results.iterrows():
        line = next(line for line in text.splitlines() if f"│ {row['name']} " in line)
        assert f"{100 * row['accuracy']:.1f}" in line and f"{row['parameters']:,}" in line
    assert "Studio is synthetic" in text
    for stage in {name.partition("@")[0] for name in repository.stages}:
        assert f"│ {stage} " in text


@pytest.mark.parametrize("width", [72, 80, 120, 170, 240])
def test_no_terminal_cuts_off_a_figure(repository: Repository, params: config.Params, width: int) -> None:
    said = repository.cli("results", FORCE_COLOR="1", NO_COLOR="1", COLUMNS=str(width))
    rows = [line for line in said.splitlines() if any(f"│ {name} " in line for name in ("video", "cfnsr"))]
    assert len(rows) == 2 and "…" not in said
    assert all(len(re.findall("│", row)) == (19 if width > 180 else 7) for row in rows)
    assert ("too narrow" in said) == (width < 180)


def test_a_clone_names_its_results_as_committed(repository: Repository, tmp_path: Path) -> None:
    shown = repository.clone(tmp_path / "clone").cli("results")
    assert "No stage has run here: these results came with the repository." in shown
    assert "No stage has run here" not in repository.cli("results")


def test_a_copy_of_the_page_has_run_info(repository: Repository, tmp_path: Path) -> None:
    assert "metrics/studio/report.html: open it in a browser" in repository.cli("report")
    page = (repository.folder / "metrics/studio/report.html").read_text()
    assert "All parameters are those of the preset tiny." in page and 'id="chart-confusion"' in page
    out = tmp_path / "run.html"
    repository.cli("report", "--with-run-info", str(out))
    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]*)</dd>", out.read_text()))
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", facts["Commit"]) and facts["Trained on"].startswith("cpu (")
    assert facts["pretrain, 4 runs"].endswith(" s") and float(facts["All stages"].removesuffix(" s")) > 5
    assert str(Path.home()) not in page and "Trained on" not in page and facts["Trained on"] not in page


def test_dvc_shows_two_metrics_a_system(repository: Repository, params: config.Params) -> None:
    shown = json.loads(repository.dvc("metrics", "show", "--json"))
    (figures,) = (file["data"] for file in shown[""]["data"].values())
    results = pd.read_csv(repository.folder / "metrics/studio/results.csv").set_index("name")
    assert list(figures) == ["accuracy", "uar", "clips", "skipped"]
    assert figures["clips"] == 8 * len(params.folds) and figures["skipped"] == 0  # one speaker a fold is tested
    for name in ("accuracy", "uar"):
        assert list(figures[name]) == [name for _, name in params.run.rows]
        assert figures[name] == pytest.approx(results[name].to_dict(), abs=1e-4)
    shown = json.loads(repository.dvc("metrics", "show", "--json", "data/studio/validation.json"))
    found = shown[""]["data"]["data/studio/validation.json"]["data"]
    assert found["clips"] == 8 * found["speakers"] == 8 * len(params.actors) and found["contradictions"] == 0


def test_the_columns_of_experiments_are_short(repository: Repository) -> None:
    shown = repository.dvc("exp", "show", "--csv", "--drop", ".*/")
    columns = shown.splitlines()[0].split(",")
    assert columns[5:15] == [
        *(f"{kind}.{name}" for kind in ("accuracy", "uar") for name in ("video", "audio", "averaging", "cfnsr")),
        *("clips", "skipped"),
    ]
    (workspace, committed) = json.loads(repository.dvc("exp", "show", "--json"))
    for state in (workspace, committed):
        assert set(state["data"]["metrics"]) == {"metrics/studio/metrics.json"}
        assert state["data"]["metrics"] == workspace["data"]["metrics"]


def test_dvcs_plots_draw_from_the_files(repository: Repository) -> None:
    shown = json.loads(repository.dvc("plots", "show", "--json"))
    drawn = " ".join(shown["data"])
    for part in ("confusion/cfnsr.csv", "curves/cfnsr.csv", "curves/video.csv", "results.csv", "recall.csv"):
        assert part in drawn
    assert not shown.get("errors")


def test_predictions_are_of_the_test_speakers(
    repository: Repository, manifest: Manifest, params: config.Params
) -> None:
    for fold, sets in manifest.protocols["held_out"].items():
        assert not set(sets.test) & set(sets.validation) and not set(sets.train) & {*sets.test, *sets.validation}
        assert list(sets.test) == params.folds[fold]
        for _, name in params.run.rows:
            file = repository.folder / f"data/studio/jobs/held_out/{name}/{fold}/1234/predictions.parquet"
            predictions = pd.read_parquet(file)
            is_validation = predictions["choice"] == "validation"
            assert set(predictions.loc[~is_validation, "actor"]) == set(sets.test)
            assert set(predictions.loc[is_validation, "actor"]) == set(sets.validation)


def test_the_index_describes_the_clips(repository: Repository, params: config.Params) -> None:
    for actor in params.actors:
        shard = shards.read(repository.folder / "data/studio/shards" / actor)
        assert len(shard.index) == 8 and shard.index["label"].nunique() == 8
        assert shard.arrays["frames"].shape[1:] == (params.extract.video.frames, *[params.extract.video.side_px] * 2, 3)
        assert shard.arrays["mfcc"].shape[1:] == (13, 212) and shard.arrays["mel"].shape[1:] == (128, 212)
        assert shard.index["duration_s"].between(2.9, 5.3).all()
        assert (shard.index["box_confidence"] > 0.7).all() and shard.index["source_md5"].is_unique


def test_face_boxes_hold_every_landmark(repository: Repository, params: config.Params) -> None:
    from cfnsr.preprocessing import openface_csv

    boxes, _ = face_boxes.read(repository.folder / "data/studio/faces/01.parquet")
    for clip, found in boxes.items():
        track = openface_csv.read(repository.folder / f"data/studio/raw/01/{clip}.csv")
        low = found.boxes[:, None, :2] - found.boxes[:, None, 2:] / 2
        high = found.boxes[:, None, :2] + found.boxes[:, None, 2:] / 2
        assert ((track.points >= low) & (track.points <= high)).all()
        size = params.corpora.studio
        assert low.min() >= 0 and high[..., 0].max() <= size.width and high[..., 1].max() <= size.height


def test_a_contact_sheet_shows_every_clip(repository: Repository) -> None:
    repository.cli("sheet", "01", "sheet.png")
    drawn = cv2.imread(str(repository.folder / "sheet.png"))
    shard = shards.read(repository.folder / "data/studio/shards/01")
    clips, frames, size = shard.arrays["frames"].shape[:3]
    assert drawn.shape == (clips * (size + 18), frames * size, 3)
    assert np.array_equal(drawn[18 : 18 + size, :size, ::-1], shard.arrays["frames"][0, 0])


def test_a_wrong_value_stops_with_one_line(repository: Repository) -> None:
    path = repository.folder / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("min_clips: ", "min_clips: -"))
    try:
        for text in (repository.cli("check", status=1), repository.stage(CHECK, status=1)):
            assert "check.min_clips" in text and "Traceback" not in text and len(text.strip().splitlines()) == 1
    finally:
        path.write_text(before)


def test_a_job_checks_its_systems_options(repository: Repository) -> None:
    path = repository.folder / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("      heads: 8 ", "      hats: 8 "))
    try:
        text = repository.stage("python -m stages.train cfnsr held_out fold_1 1234 data/studio", status=1)
        assert "cfnsr.options.hats: unknown option" in text and "Traceback" not in text
    finally:
        path.write_text(before)


def test_the_report_deletes_what_is_left_to_resume(repository: Repository) -> None:
    left = repository.folder / "data/.resume/studio/held_out/dropped/fold_1/1234/killed.pt"
    left.parent.mkdir(parents=True)
    left.touch()
    before = repository.results()
    repository.stage("python -m stages.report data/studio metrics/studio")
    assert not left.parents[3].exists() and repository.results() == before


@pytest.mark.parametrize("stage", sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py")))
def test_each_stage_has_help_with_an_example(repository: Repository, stage: str) -> None:
    text = repository.stage(f"python -m stages.{stage} --help")
    assert text.startswith("Usage: ") and f"Example: python -m stages.{stage}" in text
