"""The stages best and report, on made-up jobs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from safetensors.numpy import save_file

from cfnsr.data.jobs import JobPaths, read_predictions
from cfnsr.data.splits import Trial
from cfnsr.inference.card import Card
from cfnsr.report import files
from cfnsr.runtime import model_header
from tests.support import corpus, made_up_results


@pytest.fixture
def params(root: Path, tmp_path: Path) -> dict[str, Any]:
    """Those of the repository, for four speakers and three rows."""
    values = YAML(typ="safe").load((root / "params.yaml").read_text())
    values |= {"actors": made_up_results.ACTORS, "folds": {f"fold_{number}": [f"0{number}"] for number in (1, 2, 3, 4)}}
    values["run"] |= {
        "pretrain": ["video", "audio"],
        "combine": [],
        "train": ["cfnsr"],
        "seeds": [made_up_results.SEED],
    }
    return values


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A corpus's folder with all jobs, and one more that params do not list."""
    folder = tmp_path / "data" / "studio"
    corpus.write(folder / "shards")
    known = made_up_results.manifest(corpus="studio")
    known.write(folder / "manifest.json")
    expected = made_up_results.expected()
    made_up_results.write_jobs(folder, expected)
    made_up_results.write_job(folder, "video", Trial("held_out", "fold_1", 99))
    for name in [*expected.jobs, "held_out/old/fold_1/7"]:
        write_model(folder / "models" / name / "model.safetensors", job=name)
    return folder


def write_model(path: Path, **described: object) -> None:
    """Write a file with no weights; it says what it is, and its fold's speakers."""
    path.parent.mkdir(parents=True)
    trial = Trial("held_out", path.parts[-3], made_up_results.SEED)
    described["speakers"] = made_up_results.manifest().speakers(trial).lists()
    save_file({"mean": np.zeros(2)}, path, {"cfnsr": json.dumps(described)})


def run(stage: click.Command, params: dict[str, Any], *arguments: Path, status: int = 0) -> Result:
    path = arguments[0].parent / "params.yaml"
    with path.open("w") as file:
        YAML().dump(params, file)
    result = CliRunner().invoke(stage, ["--params", str(path), *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def test_best_copies_the_chosen_model(data: Path, params: dict[str, Any]) -> None:
    from stages.best import main

    result = run(main, params, data)
    assert "cfnsr, fold_" in result.output and "held_out/old, which params.yaml no longer lists" in result.output
    fold = result.output.partition("cfnsr, ")[2].partition(",")[0]
    assert model_header.read(data / "best/model.safetensors")["job"] == f"held_out/cfnsr/{fold}/7"
    card = Card.of(data / "best/model.safetensors")
    assert (card.row, card.fold, card.corpus, card.language) == ("cfnsr", fold, "studio", "English, synthetic")
    assert not (data / "models/held_out/old").exists() and not (data / "jobs/held_out/video/fold_1/99").exists()


def test_linear_classifiers_may_be_the_best(data: Path, params: dict[str, Any]) -> None:
    """Not those on features that a new recording lacks, and not those whose encoder has seen the corpus."""
    from stages.best import main

    params["run"]["probe"] = ["action_units", "speaker", "whisper_tiny"]
    for number in (1, 2, 3, 4):
        trial = Trial("held_out", f"fold_{number}", made_up_results.SEED)
        for name in ("whisper_tiny", "action_units", "speaker"):
            seen = "yes" if name == "speaker" else "unknown"
            made_up_results.write_job(data, name, trial, reads=["audio"], seen=seen)
            paths = JobPaths.of(data, name, trial)
            table = read_predictions(paths.predictions).assign(predicted=lambda table: table["label"])
            table.to_parquet(paths.predictions, index=False)
            write_model(paths.checkpoint, extractor={"name": name, "licence": "MIT"})
    assert "whisper_tiny, fold_" in run(main, params, data).output
    card = Card.of(data / "best/model.safetensors")
    assert card.row == "whisper_tiny" and card.licence == "weights of the encoder: MIT" and card.modalities == ["audio"]
    assert card.trained_speakers == 3, "the validation speakers too, as probe.refit is set"


def test_best_is_empty_without_held_out_rows(data: Path, params: dict[str, Any]) -> None:
    from stages.best import main

    expected = made_up_results.expected(protocols=["test_selected"])
    made_up_results.write_jobs(data, expected)
    for name in expected.jobs:
        (data / "models" / name).mkdir(parents=True)
    params["run"]["protocols"] = ["test_selected"]
    assert "none is the best" in run(main, params, data).output
    assert list((data / "best").iterdir()) == []
    assert [path.name for path in (data / "models").iterdir()] == ["test_selected"]


def test_report_writes_files_and_prunes(data: Path, params: dict[str, Any], monkeypatch: Any, root: Path) -> None:
    from stages.report import main

    monkeypatch.chdir(root)  # for the presets
    resume = JobPaths.of(data, "old", Trial("held_out", "fold_1", 7)).resume
    resume.mkdir(parents=True)
    out = data.parents[1] / "metrics"
    result = run(main, params, data, out)
    assert "jobs/held_out/video/fold_1/99, which params.yaml no longer lists" in result.output
    assert not resume.exists()
    assert sorted(path.name for path in out.iterdir()) == [
        *("comparisons.csv", "confusion", "cross.csv", "curves", "metrics.json"),
        *("recall.csv", "report.html", "report.md", "results.csv"),
    ]
    assert [row.name for row in files.read(out)] == ["video", "audio", "cfnsr"]


def test_presets_edited_meanwhile_are_noticed(
    data: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path
) -> None:
    from stages.report import main, page

    shutil.copytree(root / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    write = page.write

    def edit(*arguments: Any) -> None:
        overlay = tmp_path / "presets/studio.yaml"
        overlay.write_text(f"{overlay.read_text()}\nreport:\n  ci_level: 0.5\n")
        write(*arguments)

    monkeypatch.setattr(page, "write", edit)
    out = data.parents[1] / "metrics"
    result = run(main, params, data, out, status=1)
    assert "presets: was edited while this stage ran" in result.output and not (out / "report.html").exists()


def test_stages_start_without_torch(root: Path) -> None:
    code = "import sys, stages.best, stages.report; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
