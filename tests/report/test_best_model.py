from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import dvc.api
import pandas as pd
import pytest
from ruamel.yaml import YAML

from cfnsr.data.jobs import SPEAKERS, JobPaths
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.inference.card import Card
from cfnsr.report import best_model
from cfnsr.report.best_model import BestModel
from tests.support import made_up_results

TRIALS = [Trial("held_out", fold, 7) for fold in ("fold_1", "fold_2")]


def predict(
    folder: Path, name: str, trial: Trial, *, correct: int, tested: int = 0, clips: int = 10, validated: bool = True
) -> None:
    """Write predictions, so many of them correct on the validation speakers, and on the test speakers."""
    path = JobPaths.of(folder, name, trial).predictions
    path.parent.mkdir(parents=True, exist_ok=True)
    choices = [("selected", tested), ("best_test_epoch", clips), *[("validation", correct)] * validated]
    parts = [
        pd.DataFrame(
            {"choice": choice, "actor": "01", "label": "sad", "predicted": ["sad"] * good + ["calm"] * (clips - good)}
        )
        for choice, good in choices
    ]
    table = pd.concat(parts)
    table.attrs[SPEAKERS] = made_up_results.manifest().speakers(trial).lists()
    table.to_parquet(path, index=False)
    made_up_results.record(name, trial).write(path.with_name("record.json"))


def choose(folder: Path, *names: str) -> BestModel | None:
    return best_model.choose(folder, made_up_results.manifest(), dict.fromkeys(names, TRIALS))


def test_best_system_comes_before_best_fold(tmp_path: Path) -> None:
    for name, counts in {"concat": (9, 3), "cfnsr": (6, 7), "video": (7, 5)}.items():
        for trial, correct in zip(TRIALS, counts, strict=True):
            predict(tmp_path, name, trial, correct=correct)
    # concat has the better fold, cfnsr is the better system.
    assert choose(tmp_path, "video", "concat", "cfnsr") == BestModel("cfnsr", TRIALS[1], 0.65, 0.7, candidates=3)


def test_every_clip_counts_the_same(tmp_path: Path) -> None:
    for name, small, large in (("a", 2, 8), ("b", 0, 12)):
        predict(tmp_path, name, TRIALS[0], correct=small, clips=2)
        predict(tmp_path, name, TRIALS[1], correct=large, clips=20)
    assert choose(tmp_path, "a", "b") == BestModel("b", TRIALS[1], 12 / 22, 12 / 20, candidates=2)


def test_test_speakers_do_not_matter(tmp_path: Path) -> None:
    for name, correct, tested in (("a", 6, 1), ("b", 5, 10)):
        for trial in TRIALS:
            predict(tmp_path, name, trial, correct=correct, tested=tested)
    best = choose(tmp_path, "b", "a")
    assert best is not None and best.name == "a"


def test_of_equals_the_first_is_chosen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for trial in TRIALS:
            predict(tmp_path, name, trial, correct=5)
    assert choose(tmp_path, "b", "a") == BestModel("b", TRIALS[0], 0.5, 0.5, candidates=2)


def test_systems_without_validation_are_left_out(tmp_path: Path) -> None:
    for number, trial in enumerate(TRIALS):
        predict(tmp_path, "a", trial, correct=9, validated=number == 0)
        predict(tmp_path, "b", trial, correct=5)
    best = choose(tmp_path, "a", "b")
    assert best is not None and best.name == "b"
    assert choose(tmp_path, "a") is None and choose(tmp_path) is None


def test_missing_predictions_are_named(tmp_path: Path) -> None:
    for trial in TRIALS:
        predict(tmp_path, "a", trial, correct=5)
    JobPaths.of(tmp_path, "a", TRIALS[0]).predictions.unlink()
    with pytest.raises(CfnsrError, match=r"a/fold_1/7/predictions\.parquet: is missing"):
        choose(tmp_path, "a")


def test_jobs_of_other_speakers_choose_nothing(tmp_path: Path) -> None:
    for trial in TRIALS:
        predict(tmp_path, "a", trial, correct=5)
    paths = JobPaths.of(tmp_path, "a", TRIALS[0])
    made_up_results.record("a", TRIALS[1]).write(paths.record)
    with pytest.raises(CfnsrError, match=r"fold_1/7/record\.json: its test speakers are 02, the fold's are 01\."):
        choose(tmp_path, "a")


def test_model_and_figures_are_written(tmp_path: Path) -> None:
    checkpoint = JobPaths.of(tmp_path, "a", TRIALS[1]).checkpoint
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    checkpoint.with_name("reference.safetensors").write_bytes(b"distances")
    card = Card("a", "emodb", temperature=1.5)
    best_model.write(tmp_path / "best", BestModel("a", TRIALS[1], 12 / 22, 0.6, 4, 0.01234), tmp_path, card)
    assert (tmp_path / "best/reference.safetensors").read_bytes() == b"distances"
    assert Card.of(tmp_path / "best/model.safetensors") == card
    assert (tmp_path / "best/model.safetensors").read_bytes() == b"weights"
    assert json.loads((tmp_path / "best/best.json").read_text()) == {
        "name": "a",
        "trial": {"protocol": "held_out", "fold": "fold_2", "seed": 7},
        "validation_accuracy": 0.5455,
        "validation_accuracy_of_fold": 0.6,
        "candidates": 4,
        "optimism": 0.0123,
    }


def test_without_a_best_the_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best/model.safetensors").touch()
    best_model.write(tmp_path / "best", None, tmp_path, None)
    assert list((tmp_path / "best").iterdir()) == []


def test_dvc_shares_the_model_as_an_artifact(root: Path, tmp_path: Path) -> None:
    """A repository with the artifacts of ours, and a best model that DVC tracks."""

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    dvc_command = (sys.executable, "-m", "dvc")
    run("git", "init", "-q")
    run(*dvc_command, "init", "-q")
    for name in (".dvc/config", "params.yaml"):
        shutil.copyfile(root / name, tmp_path / name)
    artifacts = YAML(typ="safe").load((root / "dvc.yaml").read_text())["artifacts"]
    with (tmp_path / "dvc.yaml").open("w") as file:
        YAML().dump({"artifacts": artifacts}, file)
    model = tmp_path / "data/studio/best/model.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"weights")
    Card("shared", "studio").write(model.parent)
    run(*dvc_command, "add", "-q", "data/studio/best")
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "run")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "to share", "best@v1.0.0")
    shared = dvc.api.artifacts_show("best", repo=str(tmp_path))
    assert shared["rev"] == run("git", "rev-parse", "best@v1.0.0^{}")
    assert shared["path"] == "data/studio/best"
    run(*dvc_command, "artifacts", "get", ".", "best", "-o", "fetched")
    assert (tmp_path / "fetched/model.safetensors").read_bytes() == b"weights"
    assert Card.of(tmp_path / "fetched/model.safetensors").name == "shared"
