"""The real pipeline, by a real DVC, in a git repository of its own: tiny scale, from raw video to the table."""

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

pytestmark = pytest.mark.xdist_group("pipeline")


@pytest.fixture(scope="module")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return finished.copy(tmp_path_factory.mktemp("repository") / "copy")


@pytest.fixture(scope="module")
def params(repository: Repository) -> config.Params:
    return config.load(repository.folder / "params.yaml")


@pytest.fixture(scope="module")
def manifest(repository: Repository) -> Manifest:
    return Manifest.read(repository.folder / "data/studio/manifest.json")


def test_every_stage_ran_and_a_second_repro_runs_none(repository: Repository, params: config.Params) -> None:
    stages = repository.stages
    cells = len(params.folds) * (2 + len(params.run.train))
    assert len(stages) == 3 * len(params.actors) + len(["landmarks", "check", "best", "report"]) + cells
    assert not repository.repro()
    assert "Data and pipelines are up to date" in repository.run("dvc", "status")


def test_every_stage_says_what_it_does(repository: Repository) -> None:
    for line in repository.run("dvc", "stage", "list").splitlines():
        name, _, description = line.partition(" ")
        assert description.strip() and "Outputs" not in description, name


def test_the_table_is_printed_with_where_the_time_went(repository: Repository, params: config.Params) -> None:
    text = repository.run("cfnsr", "results")
    results = pd.read_csv(repository.folder / "metrics/studio/results.csv")
    assert results["name"].tolist() == ["video", "audio", *params.run.train]
    for _, row in results.iterrows():
        line = next(line for line in text.splitlines() if f"│ {row['name']} " in line)
        assert f"{100 * row['accuracy']:.1f}" in line and f"{row['parameters']:,}" in line
    assert "Studio is synthetic" in text
    for stage in ("download", "landmarks", "crop", "extract", "check", "pretrain", "train", "report"):
        assert f"│ {stage} " in text


@pytest.mark.parametrize("width", [72, 80, 120, 170, 240])
def test_no_figure_is_cut_off_in_a_terminal_however_narrow(
    repository: Repository, params: config.Params, width: int
) -> None:
    said = repository.run("env", "FORCE_COLOR=1", f"COLUMNS={width}", "cfnsr", "results")
    rows = [line for line in said.splitlines() if any(f"│ {name} " in line for name in ("video", *params.run.train))]
    assert len(rows) == 1 + len(params.run.train) and "…" not in said
    assert all(len(re.findall("│", row)) == (18 if width > 180 else 6) for row in rows)
    assert ("too narrow" in said) == (width < 180)


def test_a_clone_says_that_its_results_are_not_its_own(repository: Repository, tmp_path: Path) -> None:
    shown = repository.clone(tmp_path / "clone").run("cfnsr", "results")
    assert "No stage has run here: these results came with the repository." in shown
    assert "No stage has run here" not in repository.run("cfnsr", "results")


def test_the_page_is_there_and_a_copy_says_when_and_where(repository: Repository, tmp_path: Path) -> None:
    assert "metrics/studio/report.html: open it in a browser" in repository.run("cfnsr", "report")
    page = (repository.folder / "metrics/studio/report.html").read_text()
    assert "All params are those of the preset tiny." in page and 'id="chart-confusion"' in page
    out = tmp_path / "run.html"
    repository.run("cfnsr", "report", "--with-run-info", str(out))
    told = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]*)</dd>", out.read_text()))
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", told["Commit"]) and told["Trained on"].startswith("cpu (")
    assert told["pretrain, 4 runs"].endswith(" s") and float(told["All stages"].removesuffix(" s")) > 5
    assert str(Path.home()) not in page and "torch" not in page.partition('<script type="application/json"')[0]


def test_dvcs_metrics_are_two_columns_a_system(repository: Repository, params: config.Params) -> None:
    shown = json.loads(repository.run("dvc", "metrics", "show", "--json"))
    (figures,) = (file["data"] for file in shown[""]["data"].values())
    results = pd.read_csv(repository.folder / "metrics/studio/results.csv").set_index("name")
    assert list(figures) == ["accuracy", "uar", "clips", "skipped"]
    assert figures["clips"] == 8 * len(params.folds) and figures["skipped"] == 0  # one speaker a fold is tested
    for name in ("accuracy", "uar"):
        assert list(figures[name]) == ["video", "audio", *params.run.train]
        assert figures[name] == pytest.approx(results[name].to_dict(), abs=1e-4)
    shown = json.loads(repository.run("dvc", "metrics", "show", "--json", "data/studio/validation.json"))
    found = shown[""]["data"]["data/studio/validation.json"]["data"]
    assert found["clips"] == 8 * found["speakers"] == 8 * len(params.actors) and found["contradictions"] == 0


def test_the_columns_of_experiments_are_short(repository: Repository) -> None:
    shown = repository.run("dvc", "exp", "show", "--csv", "--drop", ".*/")
    columns = shown.splitlines()[0].split(",")
    assert columns[5:15] == [
        *(f"{kind}.{name}" for kind in ("accuracy", "uar") for name in ("video", "audio", "averaging", "cfnsr")),
        *("clips", "skipped"),
    ]
    (workspace, committed) = json.loads(repository.run("dvc", "exp", "show", "--json"))
    for state in (workspace, committed):
        assert set(state["data"]["metrics"]) == {"metrics/studio/metrics.json"}
        assert state["data"]["metrics"] == workspace["data"]["metrics"]


def test_dvcs_plots_draw_from_the_files(repository: Repository) -> None:
    shown = json.loads(repository.run("dvc", "plots", "show", "--json"))
    drawn = " ".join(shown["data"])
    for part in ("confusion/cfnsr.csv", "curves/cfnsr.csv", "curves/video.csv", "results.csv", "recall.csv"):
        assert part in drawn
    assert not shown.get("errors")


def test_no_speaker_stands_in_two_sets_and_predictions_are_of_the_test_speakers(
    repository: Repository, manifest: Manifest, params: config.Params
) -> None:
    for fold, sets in manifest.protocols["held_out"].items():
        assert not set(sets.test) & set(sets.validation) and not set(sets.train) & {*sets.test, *sets.validation}
        assert list(sets.test) == params.folds[fold]
        for name in ("video", "audio", *params.run.train):
            file = repository.folder / f"data/studio/predictions/held_out/{name}/{fold}/1234.parquet"
            predictions = pd.read_parquet(file)
            told = predictions["choice"] == "validation"
            assert set(predictions.loc[~told, "actor"]) == set(sets.test)
            assert set(predictions.loc[told, "actor"]) == set(sets.validation)


def test_the_index_describes_the_clips(repository: Repository, params: config.Params) -> None:
    for actor in params.actors:
        shard = shards.read(repository.folder / "data/studio/shards" / actor)
        assert len(shard.index) == 8 and shard.index["label"].nunique() == 8
        assert shard.frames.shape[1:] == (params.extract.video.frames, *[params.extract.video.side_px] * 2, 3)
        assert shard.mfcc.shape[1:] == (13, 212) and shard.mel.shape[1:] == (128, 212)
        assert shard.index["duration_s"].between(2.9, 5.3).all()
        assert (shard.index["box_confidence"] > 0.7).all() and shard.index["source_md5"].is_unique


def test_face_boxes_hold_every_landmark_and_stay_inside_the_picture(
    repository: Repository, params: config.Params
) -> None:
    from cfnsr.preprocessing.landmarks import openface

    boxes, _ = face_boxes.read(repository.folder / "data/studio/faces/01.parquet")
    for clip, found in boxes.items():
        track = openface.read(repository.folder / f"data/studio/raw/01/{clip}.csv")
        low = found.squares[:, None, :2] - found.squares[:, None, 2:] / 2
        high = found.squares[:, None, :2] + found.squares[:, None, 2:] / 2
        assert ((track.points >= low) & (track.points <= high)).all()
        size = params.corpora.studio
        assert low.min() >= 0 and high[..., 0].max() <= size.width and high[..., 1].max() <= size.height


def test_a_contact_sheet_shows_every_clip(repository: Repository) -> None:
    repository.run("cfnsr", "sheet", "01", "sheet.png")
    drawn = cv2.imread(str(repository.folder / "sheet.png"))
    shard = shards.read(repository.folder / "data/studio/shards/01")
    clips, frames, size = shard.frames.shape[:3]
    assert drawn.shape == (clips * (size + 18), frames * size, 3)
    assert np.array_equal(drawn[18 : 18 + size, :size, ::-1], shard.frames[0, 0])


def test_a_systems_options_run_its_own_cells_alone(repository: Repository, params: config.Params) -> None:
    path = repository.folder / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("heads: 8 ", "heads: 4 "))
    try:
        text = repository.run("dvc", "status", "--json")
        changed = set(json.loads(text))
        assert {f"train@studio-held_out-cfnsr-{fold}-1234" for fold in params.folds} <= changed
        assert not [name for name in changed if "averaging" in name or name.startswith(("pretrain", "extract"))]
    finally:
        path.write_text(before)


def test_a_wrong_value_stops_a_stage_with_one_line(repository: Repository) -> None:
    path = repository.folder / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("min_clips: ", "min_clips: -"))
    try:
        text = repository.run("cfnsr", "check", status=1)
        assert "check.min_clips" in text and "Traceback" not in text and len(text.strip().splitlines()) == 1
        assert "Traceback" not in repository.run(
            "python", "-m", "stages.check", "studio", "data/studio/shards", "y", "z", status=1
        )
    finally:
        path.write_text(before)


def test_the_readmes_program_runs(repository: Repository) -> None:
    program = (repository.folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    shapes = repository.run("python", "-c", f"{program}\nprint(log_probabilities.shape, network.training)")
    assert shapes.splitlines()[-1] == "(8, 8) False"


def test_a_systems_section_is_checked_when_its_cell_starts(repository: Repository) -> None:
    path = repository.folder / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("      heads: 8 ", "      hats: 8 "))
    try:
        text = repository.run("dvc", "repro", "-s", "train@studio-held_out-cfnsr-fold_1-1234", status=255)
        assert "cfnsr.options.hats: unknown option" in text and "Traceback" not in text
    finally:
        path.write_text(before)
        repository.run("dvc", "checkout", "train@studio-held_out-cfnsr-fold_1-1234")


@pytest.mark.parametrize("stage", sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py")))
def test_each_stage_has_help_with_an_example(repository: Repository, stage: str) -> None:
    text = repository.run("python", "-m", f"stages.{stage}", "--help")
    assert text.startswith(f"Usage: python -m stages.{stage}") and "Example: python -m stages" in text
