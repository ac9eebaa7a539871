"""What params.yaml asks for reaches a cell's training, and a killed one goes on with nothing else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device, predict
from cfnsr.evaluation.outputs import Job, JobPaths, training
from cfnsr.models import checkpoint
from cfnsr.training import initial
from cfnsr.training.lesson import lesson_of
from cfnsr.training.run import run as run_cell
from cfnsr.training.settings import Recipe
from tests.support import corpus
from tests.support.repository import Repository
from tests.test_cells import CPU, PIXELS, SHARED, TRAINING, VIDEO, Run


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


def trained(
    run: Run,
    out: Path,
    *,
    training: dict[str, Any] | None = None,
    shared: dict[str, Any] | None = None,
    seed: int = corpus.SEED,
    torch_seed: int = 7,
    manifest: Manifest | None = None,
    options: dict[str, Any] | None = None,
) -> Job:
    """The video network, trained in ``out``; every source of chance but ``seed``'s is seeded alike."""
    trial, manifest = corpus.trial("fold_1", seed=seed), manifest or run.manifest
    device.make_reproducible(torch_seed, 1, CPU)
    made = initial.unimodal("video", trial, manifest, {**VIDEO, **(options or {})}, pixels=PIXELS)
    places = JobPaths(*(out / name for name in ("model", "cell.json", "predictions", "curves", "resume")))
    cell = Job(*made, replace(run.open("fold_1"), trial=trial), manifest, places)
    run_cell(cell, training={**TRAINING, **(training or {})}, shared=SHARED | (shared or {}), place=CPU)
    return cell


def weights(cell: Job) -> str:
    """Of the epoch kept, and of what was seen last: the former may be the first, which little can change."""
    digest = hashlib.md5(usedforsecurity=False)
    for value in checkpoint.load(cell.places.model / "model.safetensors").state_dict().values():
        digest.update(value.numpy().tobytes())
    last = pd.read_parquet(cell.places.predictions).query("choice == 'last'")
    digest.update(last[[f"p_{label}" for label in LABELS]].to_numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def plain(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    cell = trained(run, tmp_path_factory.mktemp("plain"))
    assert weights(trained(run, tmp_path_factory.mktemp("again"))) == weights(cell)
    return weights(cell)


def augmented(**changes: Any) -> dict[str, Any]:
    return {"augment": SHARED["augment"] | {"video": SHARED["augment"]["video"] | changes}}


REACHING: dict[str, dict[str, Any]] = {
    "epochs": {"training": {"epochs": 2}},
    "batch_size": {"training": {"batch_size": 8}},
    "learning_rate": {"training": {"learning_rate": 0.004}},
    "weight_decay": {"training": {"weight_decay": 0.01}},
    "precision": {"shared": {"precision": "bf16"}},
    "schedule": {"shared": {"schedule": "cosine"}},
    "warmup_epochs": {"shared": {"warmup_epochs": 1}},
    "clip_norm": {"shared": {"clip_norm": 0.01}},
    "accumulate": {"shared": {"accumulate": 2}},
    "label_smoothing": {"shared": {"label_smoothing": 0.1}},
    "flip": {"shared": augmented(flip=0.0)},
    "crop_scale": {"shared": augmented(crop_scale=0.5)},
    "seed of order and augmentation": {"seed": 8},
    "seed of weights and dropout": {"torch_seed": 8},
}


@pytest.mark.parametrize("changes", REACHING.values(), ids=REACHING.keys())
def test_it_changes_what_is_learnt(run: Run, plain: str, tmp_path: Path, changes: dict[str, Any]) -> None:
    assert weights(trained(run, tmp_path, **changes)) != plain


def test_balanced_classes_change_what_is_learnt_where_they_are_unequal(run: Run, plain: str, tmp_path: Path) -> None:
    """Here all are equal: the weights are one, and nothing changes but rounding."""
    cell = trained(run, tmp_path, shared={"class_weights": "balanced"})
    assert weights(cell) == plain


def test_patience_ends_a_cell(run: Run, tmp_path: Path) -> None:
    cell = trained(run, tmp_path, training={"epochs": 30}, shared={"patience": 1})
    told = pd.read_csv(cell.places.curves / "test.csv")
    assert len(told) < 30


def test_order_and_augmentation_are_seeded_by_the_trial(run: Run) -> None:
    network = trained(run, run.folder / "seeds").network
    recipe, prepare = Recipe.of(TRAINING, SHARED, "fp32"), predict.Normalise(**PIXELS, device=CPU)
    chance = []
    for seed in (7, 7, 8):
        fold = replace(run.open("fold_1"), trial=corpus.trial("fold_1", seed=seed))
        chance.append(lesson_of(network, fold, recipe, SHARED["augment"], prepare).state_dict()["chance"][0])
    for name in ("order", "augment"):
        assert torch.equal(chance[0][name], chance[1][name]) and not torch.equal(chance[0][name], chance[2][name])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_predictions_are_in_fp32_whatever_training_was_in(run: Run, tmp_path: Path, precision: str) -> None:
    cell = trained(run, tmp_path, shared={"precision": precision})
    network = checkpoint.load(cell.places.model / "model.safetensors")
    prepare = predict.Normalise(**PIXELS, device=CPU)
    again = predict.predict(network, dataset.in_order(cell.fold.test, TRAINING["batch_size"]), prepare)
    written = predict.untable(pd.read_parquet(cell.places.predictions), list(LABELS), "selected")
    np.testing.assert_allclose(again, written, atol=1e-5)


def stopped(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Train until the second epoch is told, and no further."""
    tell = training._log

    def stop(live: Any, epoch: Any) -> None:
        tell(live, epoch)
        if epoch.number == 2:
            raise StoppedError

    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(training, "_log", stop)
        trained(run, out, **changes)


def test_a_stopped_cell_goes_on_and_ends_alike(
    run: Run, plain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other weights would be drawn by what chance has become meanwhile: order, augmentation and dropout come along."""
    stopped(run, tmp_path, monkeypatch)
    assert len(list((tmp_path / "resume").glob("*.pt"))) == 1
    capsys.readouterr()
    assert weights(trained(run, tmp_path)) == plain
    assert "goes on from" in capsys.readouterr().out
    assert not (tmp_path / "resume").exists()


OTHERWISE = {name: one for name, one in REACHING.items() if "weights and dropout" not in name} | {
    "options": {"options": {"stem_relu": False}},
    "class_weights": {"shared": {"class_weights": "balanced"}},
    "patience": {"shared": {"patience": 9}},
    "deterministic": {"shared": {"deterministic": False}},
    "starting weights": {"torch_seed": 8},
}


@pytest.mark.parametrize("changes", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_a_stopped_cell_is_not_gone_on_from_otherwise(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: Any
) -> None:
    stopped(run, tmp_path, monkeypatch)
    (left,) = (tmp_path / "resume").iterdir()
    capsys.readouterr()
    trained(run, tmp_path, **changes)
    assert "goes on from" not in capsys.readouterr().out and not left.exists()


def test_a_stopped_cell_is_not_gone_on_from_with_other_arrays(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the same clips, extracted otherwise: no figure that names the data need have changed."""
    stopped(run, tmp_path, monkeypatch)
    other = corpus.write(tmp_path / "shards")
    path = other / "03" / "mfcc.npy"
    np.save(path, 3 * np.load(path) + 7)
    manifest = corpus.inspected(other)
    assert manifest.fingerprint == run.manifest.fingerprint
    capsys.readouterr()
    trained(run, tmp_path, manifest=manifest)
    assert "goes on from" not in capsys.readouterr().out


def test_a_cell_stopped_on_a_cpu_is_not_gone_on_from_on_a_gpu(run: Run, tmp_path: Path) -> None:
    cell = trained(run, tmp_path)
    named = {
        training._standing(cell, Recipe.of(TRAINING, SHARED, "fp32"), SHARED, torch.device(place))._path
        for place in ("cpu", "cuda")
    }
    assert len(named) == 2


def test_training_keeps_memory(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(training.memory, "keep", lambda: asked.append(True))
    trained(run, tmp_path)
    assert asked


def test_frozen_encoders_are_asked_for_on_the_way_from_params(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    there.edit("  freeze_encoders: false", "  freeze_encoders: true")
    there.run("dvc", "repro", "-s", "train@studio-held_out-cfnsr-fold_1-1234")
    models = there.folder / "data/studio/models/held_out"
    made, video = (load_file(models / name / "fold_1/1234/model.safetensors") for name in ("cfnsr", "video"))
    trunk = [name for name in made if name.startswith("video.")]
    assert trunk and all(torch.equal(made[name], video[f"encoder.trunk.{name[6:]}"]) for name in trunk)
