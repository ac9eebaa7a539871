"""One job, from its settings to its files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import shards
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.evaluation import module_features, reference
from cfnsr.evaluation.outputs import from_table
from cfnsr.evaluation.predict import Predictor
from cfnsr.evaluation.reference import Reference
from cfnsr.models import checkpoint
from cfnsr.training import run as run_module
from cfnsr.training.resume import ResumeCheckpoint, fingerprint
from tests.support import corpus
from tests.support.networks import NORMALISE
from tests.support.training import SHARED, run_job

EPOCHS = 2


class StoppedError(Exception):
    pass


def prepared(folder: Path, **sizes: int) -> tuple[Path, Manifest]:
    corpus.write(folder / "shards", **sizes)
    return folder, corpus.manifest(folder / "shards")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    return prepared(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def audio(made_up: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory) -> JobPaths:
    return run_job(*made_up, out=tmp_path_factory.mktemp("audio"))


@pytest.fixture(scope="module")
def video(made_up: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory) -> JobPaths:
    return run_job(*made_up, "video", out=tmp_path_factory.mktemp("video"))


def digest(paths: JobPaths) -> str:
    """Hash the selected weights and the last epoch's predictions, since the first epoch may be selected."""
    digest = hashlib.md5(usedforsecurity=False)
    for value in checkpoint.load(paths.checkpoint).state_dict().values():
        digest.update(value.numpy().tobytes())
    digest.update(from_table(pd.read_parquet(paths.predictions), list(LABELS), "last_epoch").tobytes())
    return digest.hexdigest()


# --- outputs


def test_record_and_curves_describe_the_training(audio: JobPaths, made_up: tuple[Path, Manifest]) -> None:
    record = JobRecord.read(audio.record)
    assert (record.name, record.protocol, record.fold, record.seed) == ("audio", "held_out", "fold_1", 7)
    assert record.epochs == EPOCHS and record.data == made_up[1].fingerprint and record.reads == ["audio"]
    validation = pd.read_csv(audio.curves / "plots/metrics/validation/accuracy.tsv", sep="\t")["accuracy"]
    assert len(validation) == EPOCHS and validation[record.selected_epoch - 1] == validation.max()
    tested = pd.read_csv(audio.curves / "test.csv")
    assert tested["epoch"].tolist() == [1, 2]
    assert tested["accuracy"].idxmax() + 1 == record.best_test_epoch
    assert not any("test" in path.name for path in (audio.curves / "plots").rglob("*"))
    assert not audio.resume.exists()


def test_predictions_cover_each_choice_and_set(audio: JobPaths) -> None:
    table = pd.read_parquet(audio.predictions)
    actors = table.groupby("choice")["actor"].unique().map(list).to_dict()
    assert actors == {"selected": ["01"], "last_epoch": ["01"], "best_test_epoch": ["01"], "validation": ["02"]}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_checkpoint_repeats_the_selected_predictions(
    made_up: tuple[Path, Manifest], tmp_path: Path, precision: str
) -> None:
    """Predictions are in fp32, also where training was in half precision."""
    folder, manifest = made_up
    paths = run_job(folder, manifest, out=tmp_path, shared={"precision": precision})
    fold = FoldDatasets.open(corpus.trial("fold_1"), folder / "shards", manifest)
    predicted = Predictor(checkpoint.load(paths.checkpoint), NORMALISE, 4).predict(fold.test)
    written = from_table(pd.read_parquet(paths.predictions), list(LABELS), "selected")
    np.testing.assert_allclose(predicted, written, atol=1e-5)


def test_the_same_job_gives_the_same_bytes(made_up: tuple[Path, Manifest], tmp_path: Path, video: JobPaths) -> None:
    again = run_job(*made_up, "video", out=tmp_path)
    for first, second in ((video.model, again.model), (video.results, again.results)):
        files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
        assert files and files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
        assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_reference_is_that_of_the_saved_network(
    audio: JobPaths, made_up: tuple[Path, Manifest], tmp_path: Path
) -> None:
    """Distances of the training clips alone; the network that was saved gives the same features again."""
    fold = FoldDatasets.open(corpus.trial("fold_1"), made_up[0] / "shards", made_up[1])
    network = checkpoint.load(audio.checkpoint)
    known = Reference.beside(audio.checkpoint)
    assert known is not None and known.modules == ("encoder.stages",) and len(known.distances) == len(fold.train)
    again = module_features.describe(network, Predictor(network, NORMALISE, 3).batches(fold.train))
    np.testing.assert_allclose(again.distances, known.distances, rtol=1e-4)


# --- whose clips decide what


@pytest.mark.parametrize(("actor", "role"), [("01", "test"), ("02", "validation"), ("03", "train"), ("04", "train")])
def test_each_set_decides_only_its_part(tmp_path: Path, audio: JobPaths, actor: str, role: str) -> None:
    """Fold 1 tests speaker 01, validates on 02 and trains on 03 and 04."""
    folder, _ = prepared(tmp_path)
    shard, noise = shards.read(folder / "shards" / actor), np.random.default_rng(99)
    for name, array in shard.arrays.items():
        np.save(folder / "shards" / actor / f"{name}.npy", noise.permutation(array.copy()))
    index = shard.index.assign(label=shard.index["label"].to_numpy()[::-1], skipped=None)
    index.to_parquet(folder / "shards" / actor / shards.INDEX, index=False)
    other = run_job(folder, corpus.manifest(folder / "shards"))

    def equal(path: str) -> bool:
        return (audio.curves / path).read_bytes() == (other.curves / path).read_bytes()

    assert equal("plots/metrics/train/loss.tsv") == (role != "train")
    assert equal("plots/metrics/validation/loss.tsv") == (role == "test")
    assert equal("test.csv") == (role == "validation")
    weights = [checkpoint.load(paths.checkpoint).state_dict().values() for paths in (audio, other)]
    same = all(map(torch.equal, *weights))
    references = [paths.checkpoint.with_name(reference.FILE).read_bytes() for paths in (audio, other)]
    assert references[0] == references[1] or role != "test"
    assert same if role == "test" else role == "validation" or not same


def test_test_selected_epochs_are_the_best_tested(made_up: tuple[Path, Manifest], tmp_path: Path) -> None:
    paths = run_job(*made_up, out=tmp_path, protocol="test_selected", training={"epochs": 4})
    table = pd.read_parquet(paths.predictions)
    assert set(table["choice"]) == {"selected", "last_epoch", "best_test_epoch"}
    right = table.assign(right=table["label"] == table["predicted"]).groupby("choice")["right"].mean()
    tested = pd.read_csv(paths.curves / "test.csv")["accuracy"]
    assert right["selected"] == right["best_test_epoch"] == pytest.approx(tested.max())
    assert JobRecord.read(paths.record).protocol == "test_selected"


# --- what params.yaml asks for


def augmented(**video: float) -> dict[str, Any]:
    return {"augment": SHARED["augment"] | {"video": SHARED["augment"]["video"] | video}}


CHANGES: dict[str, dict[str, Any]] = {
    "epochs": {"training": {"epochs": 3}},
    "batch_size": {"training": {"batch_size": 8}},
    "learning_rate": {"training": {"learning_rate": 0.004}},
    "weight_decay": {"training": {"weight_decay": 0.01}},
    "precision": {"shared": {"precision": "bf16"}},
    "schedule": {"shared": {"schedule": "cosine"}},
    "warmup_epochs": {"shared": {"warmup_epochs": 1}},
    "clip_norm": {"shared": {"clip_norm": 0.01}},
    "accumulate": {"shared": {"accumulate": 2}},
    "label_smoothing": {"shared": {"label_smoothing": 0.1}},
    "seed": {"seed": 8},
}
AUGMENTATIONS = {name: {"shared": augmented(**{name: value})} for name, value in (("flip", 0.0), ("crop_scale", 0.5))}


@pytest.mark.parametrize("changes", AUGMENTATIONS.values(), ids=AUGMENTATIONS.keys())
def test_augmentation_changes_the_training(
    made_up: tuple[Path, Manifest], video: JobPaths, tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert digest(run_job(*made_up, "video", out=tmp_path, **changes)) != digest(video)


def test_balanced_weights_of_unequal_classes_change_training(tmp_path: Path) -> None:
    """Speakers of ten clips: two emotions have two each, the others one."""
    unequal = prepared(tmp_path / "unequal", clips=10)
    plain, balanced = (
        digest(run_job(*unequal, out=tmp_path / weights, shared={"class_weights": weights}))
        for weights in ("none", "balanced")
    )
    assert plain != balanced


def test_balanced_weights_of_equal_classes_change_nothing(
    made_up: tuple[Path, Manifest], audio: JobPaths, tmp_path: Path
) -> None:
    paths = run_job(*made_up, out=tmp_path, shared={"class_weights": "balanced"})
    assert digest(paths) == digest(audio)


def test_single_modalities_have_no_modality_dropout(
    made_up: tuple[Path, Manifest], audio: JobPaths, tmp_path: Path
) -> None:
    dropped = {"augment": {**SHARED["augment"], "modality_dropout": 1.0}}
    assert digest(run_job(*made_up, out=tmp_path, shared=dropped)) == digest(audio)


def test_patience_ends_a_job(made_up: tuple[Path, Manifest], tmp_path: Path) -> None:
    paths = run_job(*made_up, out=tmp_path, training={"epochs": 30}, shared={"patience": 1})
    record = JobRecord.read(paths.record)
    assert record.selected_epoch + 1 == record.epochs < 30


# --- resuming


@pytest.fixture(scope="module")
def stopped(made_up: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stop a job after its first epoch; return the folder around it."""
    out = tmp_path_factory.mktemp("data") / "stopped"
    save = ResumeCheckpoint.save

    def save_and_stop(checkpoint: ResumeCheckpoint, state: dict[str, Any]) -> None:
        save(checkpoint, state)
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(ResumeCheckpoint, "save", save_and_stop)
        run_job(*made_up, out=out)
    return out.parent


def copied(stopped: Path, folder: Path) -> tuple[Path, Path]:
    """Copy the folder of the stopped job; return the copy and its training state."""
    shutil.copytree(stopped, folder / "data")
    (state,) = (folder / "data/.resume").rglob("*.pt")
    return folder / "data/stopped", state


def test_stopped_jobs_resume_and_end_alike(
    made_up: tuple[Path, Manifest], stopped: Path, audio: JobPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, state = copied(stopped, tmp_path)
    assert digest(run_job(*made_up, out=out)) == digest(audio)
    assert f"resumes from {state}" in capsys.readouterr().out and not state.exists()


OTHER_JOBS = {
    **AUGMENTATIONS,
    "encoder option": {"encoder": {"dropout": 0.1}},
    "class_weights": {"shared": {"class_weights": "balanced"}},
    "patience": {"shared": {"patience": 9}},
    "deterministic": {"shared": {"deterministic": False}},
}


@pytest.mark.parametrize("changes", [*CHANGES.values(), *OTHER_JOBS.values()], ids=[*CHANGES, *OTHER_JOBS])
def test_changed_jobs_train_anew(
    made_up: tuple[Path, Manifest],
    audio: JobPaths,
    stopped: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
) -> None:
    """They do not resume, and those of ``CHANGES`` end in other weights."""
    out, state = copied(stopped, tmp_path)
    if "seed" in changes:  # another seed has a folder of its own
        other = JobPaths.of(out, "audio", corpus.trial("fold_1", seed=changes["seed"])).resume
        state = state.parent.rename(other) / state.name
    paths = run_job(*made_up, out=out, **changes)
    assert "resumes from" not in capsys.readouterr().out and not state.exists()
    if changes in CHANGES.values():
        assert digest(paths) != digest(audio)


def test_jobs_do_not_resume_with_other_arrays(
    stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], made_up: tuple[Path, Manifest]
) -> None:
    """The arrays are of the same clips, extracted in another way: the data's fingerprint is the same."""
    out, _ = copied(stopped, tmp_path)
    folder, before = prepared(tmp_path / "corpus")
    path = folder / "shards/03/mfcc.npy"
    np.save(path, 3 * np.load(path) + 7)
    manifest = corpus.manifest(folder / "shards")
    assert manifest.fingerprint == before.fingerprint == made_up[1].fingerprint
    run_job(folder, manifest, out=out)
    assert "resumes from" not in capsys.readouterr().out


def test_the_device_is_part_of_the_fingerprint(
    made_up: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was stopped on the CPU must not resume on a GPU, and this machine may have none to show it."""
    described: list[object] = []

    def recorded(weights: dict[str, torch.Tensor], *values: object) -> str:
        described.extend(values)
        return fingerprint(weights, *values)

    monkeypatch.setattr(run_module, "fingerprint", recorded)
    run_job(*made_up, out=tmp_path)
    assert "cpu" in described
