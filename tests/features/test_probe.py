"""Linear classifiers on frozen features: what they learn, what they may not see, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import load_file

from cfnsr.data import shards
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import VALIDATION, JobPaths, JobRecord, read_predictions
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import reference
from cfnsr.evaluation.reference import Reference
from cfnsr.features import files, fold, probe
from cfnsr.features.fold import FrozenFeatures
from stages.probe import main
from tests.support import corpus, frozen
from tests.support.training import write_params

NAME = "mel_statistics"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the corpus; tests copy it."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus.write(folder / "shards")
    corpus.manifest(folder / "shards").write(folder / "manifest.json")
    frozen.write(folder / "features" / NAME, folder / "shards")
    return folder


@pytest.fixture
def folder(made_up: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made_up, tmp_path / "made_up")


def run(folder: Path, protocol: str = "held_out", *, status: int = 0, **values: object) -> str:
    write_params(folder / "params.yaml", **values)
    arguments = [NAME, protocol, "fold_1", "7", str(folder), "--params", str(folder / "params.yaml")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == status, result.output
    return result.output


def paths(folder: Path, protocol: str = "held_out") -> JobPaths:
    return JobPaths.of(folder, NAME, corpus.trial("fold_1", protocol))


def description(folder: Path) -> dict[str, object]:
    with safe_open(paths(folder).checkpoint, framework="np") as file:
        return json.loads(file.metadata()["cfnsr"])


def opened(folder: Path, actors: list[str]) -> FrozenFeatures:
    manifest = corpus.manifest(folder / "shards")
    datasets = FoldDatasets.open(corpus.trial("fold_1"), folder / "shards", manifest)
    clips = {"01": datasets.test, "02": datasets.selection_split, "03": datasets.train}[actors[0]]
    return FrozenFeatures.open(folder / "features" / NAME, clips)


def test_validation_speakers_choose_the_layer(folder: Path) -> None:
    run(folder)
    described = description(folder)
    assert described["options"] and described["layer"] == frozen.KNOWING and described["labels"] == list(corpus.LABELS)
    table = read_predictions(paths(folder).predictions)
    selected = table[table["choice"] == "selected"]
    assert set(selected["actor"]) == {"01"} and (selected["label"] == selected["predicted"]).all()
    assert set(table.loc[table["choice"] == VALIDATION, "actor"]) == {"02"}
    record = JobRecord.read(paths(folder).record)
    assert (record.reads, record.seen, record.epochs) == (["audio"], "no", 0)
    assert record.parameters == 1000 + 8 * 12 + 8 and record.frozen_parameters == 1000


def test_test_speakers_change_nothing_that_is_learned(folder: Path) -> None:
    run(folder)
    before = paths(folder).checkpoint.read_bytes()
    of_test = folder / "features" / NAME / "01"
    frozen.replace(of_test / files.ARRAY, 1e6 * np.load(of_test / files.ARRAY)[:, ::-1])
    run(folder)
    assert paths(folder).checkpoint.read_bytes() == before


@pytest.mark.parametrize("refit", [True, False])
def test_reference_is_of_the_clips_learned_from(folder: Path, refit: bool) -> None:
    run(folder, **{"probe.refit": refit})
    before = paths(folder).checkpoint.with_name(reference.FILE).read_bytes()
    known, fitted = Reference.beside(paths(folder).checkpoint), load_file(paths(folder).checkpoint)
    assert known is not None and len(known.distances) == (24 if refit else 16)
    assert np.array_equal(known.mean, fitted["mean"]) and np.array_equal(known.std, fitted["scale"])
    of_test = folder / "features" / NAME / "01"
    frozen.replace(of_test / files.ARRAY, 1e6 * np.load(of_test / files.ARRAY))
    run(folder, **{"probe.refit": refit})
    assert paths(folder).checkpoint.with_name(reference.FILE).read_bytes() == before


@pytest.mark.parametrize("refit", [True, False])
def test_validation_clips_are_learned_last(folder: Path, refit: bool) -> None:
    run(folder, **{"probe.refit": refit})
    first = read_predictions(paths(folder).predictions)
    of_validation = folder / "features" / NAME / "02"
    means = np.load(of_validation / files.ARRAY)
    frozen.replace(of_validation / files.ARRAY, means + np.float32(0.5))
    run(folder, **{"probe.refit": refit})
    second = read_predictions(paths(folder).predictions)
    columns = [f"p_{label}" for label in corpus.LABELS]
    same = np.array_equal(*(table.loc[table["choice"] == "selected", columns] for table in (first, second)))
    assert same != refit


def test_without_validation_the_test_speakers_choose(folder: Path) -> None:
    run(folder, "test_selected")
    table = read_predictions(paths(folder, "test_selected").predictions)
    assert set(table["choice"]) == {"selected"} and len(table) == 8


def test_standardisation_is_that_of_training_clips(folder: Path) -> None:
    train, test = opened(folder, ["03"]), opened(folder, ["01"])
    fitted = probe.fit(train, frozen.KNOWING, 0.01, 8)
    assert np.allclose(fitted.mean, train.means[:, frozen.KNOWING].mean(axis=0))
    scaled = replace(test, means=test.means * 3)
    assert not np.allclose(fitted.predict(scaled), fitted.predict(test))
    assert np.allclose(np.exp(fitted.predict(test)).sum(axis=1), 1)


def test_two_classes_have_two_probabilities(folder: Path) -> None:
    train = opened(folder, ["03"])
    halves = replace(train, classes=train.classes % 2)
    fitted = probe.fit(halves, frozen.KNOWING, 1.0, 2)
    assert fitted.predict(halves).shape == (16, 2) and fitted.accuracy(halves) == 1.0


def test_class_without_a_training_clip_is_refused(folder: Path) -> None:
    train = opened(folder, ["03"])
    with pytest.raises(CfnsrError, match="class 8 of 9 has no clip of a training speaker"):
        probe.fit(train, 0, 1.0, 9)


def test_features_of_other_weights_are_refused(folder: Path) -> None:
    index = shards.read(folder / "shards/04").index
    means = np.load(folder / "features" / NAME / "04" / files.ARRAY)
    other = replace(frozen.FACTS, sha256="cd" * 32)
    frozen.write_speaker(folder / "features" / NAME / "04", index, means, other)
    assert "04: was made by another extractor, or with other weights" in run(folder, status=1)


def test_features_of_other_clips_are_refused(folder: Path) -> None:
    index = shards.read(folder / "shards/04").index
    of_actor = folder / "features" / NAME / "04"
    means = np.load(of_actor / files.ARRAY)
    frozen.write_speaker(of_actor, index.assign(source_md5="other"), means)
    assert "clip clip-04-0 has the features of another file" in run(folder, status=1)
    frozen.write_speaker(of_actor, index.iloc[1:], means[1:])
    assert "clip clip-04-0 has no features: is not in its index" in run(folder, status=1)
    frozen.write_speaker(of_actor, index, means[1:])
    assert "means.npy: holds 7 clips, the index 8" in run(folder, status=1)
    frozen.write_speaker(of_actor, index, np.full_like(means, np.nan))
    assert "contains NaN or infinity" in run(folder, status=1)
    shutil.rmtree(of_actor)
    assert "is missing. Run `dvc repro`, which makes" in run(folder, status=1)


def test_rows_follow_the_clips_not_the_file(folder: Path) -> None:
    run(folder)
    before = paths(folder).checkpoint.read_bytes()
    of_actor = folder / "features" / NAME / "04"
    table, means = pd.read_parquet(of_actor / files.INDEX), np.load(of_actor / files.ARRAY)
    table[::-1].to_parquet(of_actor / files.INDEX, index=False)
    frozen.replace(of_actor / files.ARRAY, means[::-1])
    run(folder)
    assert paths(folder).checkpoint.read_bytes() == before


@pytest.mark.parametrize(
    ("trained_on", "corpus_name", "seen"),
    [
        (("ravdess", "emodb"), "ravdess_speech", "yes"),
        (("ravdess_speech",), "ravdess", "yes"),
        (("emodb",), "ravdess", "no"),
        ((), "folder", "no"),
        (None, "emodb", "unknown"),
        (("emodb",), "folder", "unknown"),
    ],
)
def test_what_weights_have_seen_is_said(trained_on: tuple[str, ...] | None, corpus_name: str, seen: str) -> None:
    assert fold.has_seen(replace(frozen.FACTS, trained_on=trained_on), corpus_name) == seen


def test_contaminated_row_is_refused_or_marked(folder: Path) -> None:
    seen = replace(frozen.FACTS, trained_on=("made_up",))
    frozen.write(folder / "features" / NAME, folder / "shards", facts=seen)
    assert "its weights have seen made_up: its figures would be worth nothing" in run(folder, status=1)
    run(folder, **{"probe.allow_seen": True})
    assert JobRecord.read(paths(folder).record).seen == "yes"


def test_stage_starts_without_torch(root: Path) -> None:
    command = [sys.executable, "-c", "import stages.probe, sys; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(command, cwd=root).returncode == 0
