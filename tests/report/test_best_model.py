"""The model to take away is chosen by validation speakers alone."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path

import dvc.api
import pandas as pd
import pytest

from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint
from cfnsr.report import best_model
from tests.support.repository import Repository

TRIALS = [Trial("held_out", fold, 7) for fold in ("fold_1", "fold_2")]


def predict(folder: Path, name: str, trial: Trial, *, right: int, tested: int = 0, clips: int = 10) -> None:
    """Predictions of which so many are right among a fold's validation speakers, and among its test speakers."""
    path = trial.within(folder, name, ".parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        pd.DataFrame({"choice": choice, "label": "sad", "predicted": ["sad"] * good + ["calm"] * (clips - good)})
        for choice, good in (("selected", tested), ("best_test_epoch", clips), ("validation", right))
    ]
    pd.concat(parts).to_parquet(path, index=False)


def test_the_system_right_most_often_and_of_it_the_best_fold(tmp_path: Path) -> None:
    for name, counts in {"concat": (9, 3), "cfnsr": (6, 7), "video": (7, 5)}.items():
        for trial, right in zip(TRIALS, counts, strict=True):
            predict(tmp_path, name, trial, right=right)
    chosen = best_model.choose(tmp_path, dict.fromkeys(["video", "concat", "cfnsr"], TRIALS))
    assert chosen == best_model.Best("cfnsr", TRIALS[1], 0.65, 0.7)  # concat's first fold is better, concat is not


def test_every_clip_counts_alike_however_large_its_fold(tmp_path: Path) -> None:
    for name, small, large in (("one", 2, 8), ("other", 0, 12)):
        predict(tmp_path, name, TRIALS[0], right=small, clips=2)
        predict(tmp_path, name, TRIALS[1], right=large, clips=20)
    chosen = best_model.choose(tmp_path, {"one": TRIALS, "other": TRIALS})
    assert chosen is not None and chosen.name == "other" and chosen.validation_accuracy == pytest.approx(12 / 22)


def test_test_speakers_have_no_say(tmp_path: Path) -> None:
    for name, right, tested in (("modest", 6, 1), ("lucky", 5, 10)):
        for trial in TRIALS:
            predict(tmp_path, name, trial, right=right, tested=tested)
    chosen = best_model.choose(tmp_path, {"lucky": TRIALS, "modest": TRIALS})
    assert chosen is not None and chosen.name == "modest"


def test_of_two_alike_the_first_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for trial in TRIALS:
            predict(tmp_path, name, trial, right=5)
    assert best_model.choose(tmp_path, {"b": TRIALS, "a": TRIALS}) == best_model.Best("b", TRIALS[0], 0.5, 0.5)


def test_nothing_trained_leaves_an_empty_folder(tmp_path: Path) -> None:
    assert best_model.choose(tmp_path, {}) is None
    best_model.write(tmp_path / "out", None, tmp_path)
    assert (tmp_path / "out").is_dir() and not list((tmp_path / "out").iterdir())


def test_what_nobody_validates_takes_no_part(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"fold_1/7\.parquet: is missing"):
        best_model.choose(tmp_path, {"joined": TRIALS})
    for name, trial in product(("joined", "trained"), TRIALS):
        predict(tmp_path, name, trial, right=5)
    path = TRIALS[1].within(tmp_path, "joined", ".parquet")
    table = pd.read_parquet(path)
    table.loc[table["choice"] != "validation"].to_parquet(path)
    chosen = best_model.choose(tmp_path, {"joined": TRIALS, "trained": TRIALS})
    assert chosen is not None and chosen.name == "trained"
    assert best_model.choose(tmp_path, {"joined": TRIALS}) is None


def test_dvc_knows_the_model_as_an_artifact(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    folder = there.folder / "data/studio/best"
    told = json.loads((folder / "best.json").read_text())
    made = checkpoint.specification(folder / "model.safetensors")
    assert (made["name"], made["fold"], made["seed"]) == (told["name"], told["trial"]["fold"], told["trial"]["seed"])
    there.run("git", "tag", "-a", "-m", "to share", "best@v1.0.0")
    shown = dvc.api.artifacts_show("best", repo=str(there.folder))
    assert shown["rev"] == there.run("git", "rev-parse", "best@v1.0.0^{}").strip()
    assert shown["path"] == "data/studio/best/model.safetensors"
    there.run("dvc", "artifacts", "get", ".", "best", "-o", "fetched.safetensors")
    assert (there.folder / "fetched.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_without_a_row_held_out_the_stage_chooses_none(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    there.edit("    - held_out\n", "    - published\n")
    there.edit("    - video\n    - audio\n", "    - audio\n")
    path = there.folder / "params.yaml"
    path.write_text(re.sub(r"  train:  .*\n(    - .*\n)+", "  train: []\n", path.read_text()))
    ran = there.repro()
    assert "best@studio" in ran and not list((there.folder / "data/studio/best").iterdir())
    assert {path.name for path in (there.folder / "data/studio/models").iterdir()} == {"test_selected"}
