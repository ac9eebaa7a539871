from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import initial, late_fusion
from cfnsr.evaluation.outputs import from_table
from cfnsr.evaluation.predict import LogProbabilities, Predictor
from cfnsr.models.fusion import averaging, multiplication
from tests.support import corpus, networks

TRIAL = corpus.trial("fold_1")
MODALITIES = ("video", "audio")


def table(corpus_folder: Path, modality: str, fold: str = "fold_1") -> Path:
    return JobPaths.of(corpus_folder, modality, corpus.trial(fold)).predictions


@pytest.fixture(scope="module")
def averaged(corpus_folder: Path, manifest: Manifest, datasets: FoldDatasets) -> dict[str, LogProbabilities]:
    network, _ = initial.fused("averaging", {}, TRIAL, corpus_folder, manifest)
    paths = (table(corpus_folder, modality) for modality in MODALITIES)
    return late_fusion.combine(network, datasets, manifest.labels, *paths)


@pytest.mark.parametrize("choice", ["selected", "last_epoch", "best_test_epoch", "validation"])
def test_each_choice_combines_that_of_both_modalities(
    corpus_folder: Path, manifest: Manifest, averaged: dict[str, LogProbabilities], choice: str
) -> None:
    video, audio = (
        np.exp(from_table(pd.read_parquet(table(corpus_folder, modality)), manifest.labels, choice))
        for modality in MODALITIES
    )
    assert np.allclose(np.exp(averaged[choice]), (video + audio) / 2, atol=1e-6)


def test_the_network_agrees_with_combined_predictions(
    corpus_folder: Path, manifest: Manifest, datasets: FoldDatasets, averaged: dict[str, LogProbabilities]
) -> None:
    network, _ = initial.fused("averaging", {}, TRIAL, corpus_folder, manifest)
    predicted = Predictor(network, networks.NORMALISE, 8).predict(datasets.test)
    assert np.abs(np.exp(predicted) - np.exp(averaged["selected"])).max() < 1e-5


@pytest.mark.parametrize(("missing", "other"), [("video", "audio"), ("audio", "video")])
def test_a_missing_modality_is_a_uniform_prediction(
    corpus_folder: Path, manifest: Manifest, averaged: dict[str, LogProbabilities], missing: str, other: str
) -> None:
    alone = from_table(pd.read_parquet(table(corpus_folder, other)), manifest.labels, "selected")
    without = averaged[f"without_{missing}"]
    assert np.allclose(np.exp(without), (np.exp(alone) + 1 / 8) / 2, atol=1e-6)
    assert math.isclose(np.exp(without).sum(), 8, rel_tol=1e-5)


def test_choices_that_one_modality_lacks_are_left_out(
    corpus_folder: Path, manifest: Manifest, datasets: FoldDatasets, tmp_path: Path
) -> None:
    """An imported network has no epochs."""
    predictions = pd.read_parquet(table(corpus_folder, "audio"))
    predictions[predictions["choice"] == "selected"].to_parquet(tmp_path / "audio.parquet")
    network, _ = initial.fused("averaging", {}, TRIAL, corpus_folder, manifest)
    choices = late_fusion.combine(
        network, datasets, manifest.labels, table(corpus_folder, "video"), tmp_path / "audio.parquet"
    )
    assert list(choices) == ["selected", "without_video", "without_audio"]


def test_predictions_of_another_fold_are_refused(
    corpus_folder: Path, manifest: Manifest, datasets: FoldDatasets, tmp_path: Path
) -> None:
    network, _ = initial.fused("averaging", {}, TRIAL, corpus_folder, manifest)
    own, other = table(corpus_folder, "video"), table(corpus_folder, "audio", "fold_2")
    with pytest.raises(CfnsrError, match="its test speakers are 02, the fold's are 01"):
        late_fusion.combine(network, datasets, manifest.labels, own, other)
    fewer = pd.read_parquet(table(corpus_folder, "audio")).iloc[1:]
    fewer.to_parquet(tmp_path / "audio.parquet")
    with pytest.raises(CfnsrError, match="its selected predictions are of other clips than the fold's"):
        late_fusion.combine(network, datasets, manifest.labels, own, tmp_path / "audio.parquet")
    with pytest.raises(
        CfnsrError,
        match=r"audio/fold_3/7/predictions\.parquet: is missing\. Run `dvc repro`",
    ):
        late_fusion.combine(network, datasets, manifest.labels, own, table(corpus_folder, "audio", "fold_3"))


def test_truncated_predictions_are_one_clear_line(
    corpus_folder: Path, manifest: Manifest, datasets: FoldDatasets, tmp_path: Path
) -> None:
    network, _ = initial.fused("averaging", {}, TRIAL, corpus_folder, manifest)
    video, audio = table(corpus_folder, "video"), tmp_path / "predictions.parquet"
    audio.write_bytes(video.read_bytes()[:-100])
    message = r"/predictions\.parquet: is not a table of predictions \(.*\)\. Run `cfnsr check --deep --mend`"
    with pytest.raises(CfnsrError, match=message):
        late_fusion.combine(network, datasets, manifest.labels, video, audio)


def test_a_system_that_trains_is_refused(corpus_folder: Path, manifest: Manifest, datasets: FoldDatasets) -> None:
    network, _ = initial.fused("concat", networks.OPTIONS["concat"], TRIAL, corpus_folder, manifest)
    with pytest.raises(CfnsrError, match=r"run\.combine: contains a system that trains"):
        late_fusion.combine(network, datasets, manifest.labels, Path(), Path())


@pytest.mark.parametrize("rule", ["averaging", "multiplication"])
def test_any_two_rows_are_fused(
    corpus_folder: Path, manifest: Manifest, datasets: FoldDatasets, averaged: dict[str, LogProbabilities], rule: str
) -> None:
    paths = [table(corpus_folder, modality) for modality in MODALITIES]
    combine = {"averaging": averaging, "multiplication": multiplication}[rule].combine
    fused = late_fusion.fuse(combine, datasets, manifest.labels, *paths)
    assert set(fused) == {"selected", "last_epoch", "best_test_epoch", "validation"}
    for choice, predicted in fused.items():
        video, audio = (np.exp(from_table(pd.read_parquet(path), manifest.labels, choice)) for path in paths)
        expected = (video + audio) / 2 if rule == "averaging" else video * audio / (video * audio).sum(axis=1)[:, None]
        assert np.allclose(np.exp(predicted), expected, atol=1e-9)
