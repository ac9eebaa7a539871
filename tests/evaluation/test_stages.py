"""The stages that train nothing, on the small networks of these tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.evaluation.module_features import describe
from cfnsr.evaluation.outputs import from_table
from cfnsr.evaluation.predict import Predictor
from cfnsr.evaluation.reference import Reference
from cfnsr.models import checkpoint
from stages import combine, evaluate, fuse
from tests.support import corpus, networks
from tests.support.training import write_params

TRIAL = corpus.trial("fold_1")
JOB = ("held_out", "fold_1", "7")


@pytest.fixture
def folder(corpus_folder: Path, tmp_path: Path) -> Iterator[Path]:
    threads = torch.get_num_threads()
    yield shutil.copytree(corpus_folder, tmp_path / "data" / "made_up")
    torch.set_num_threads(threads)


def check(folder: Path, name: str, manifest: Manifest, datasets: FoldDatasets) -> JobRecord:
    """Check that the network written makes the predictions written; return the record."""
    paths = JobPaths.of(folder, name, TRIAL)
    predicted = Predictor(checkpoint.load(paths.checkpoint), networks.NORMALISE, 4).predict(datasets.test)
    table = pd.read_parquet(paths.predictions)
    assert np.abs(np.exp(from_table(table, manifest.labels, "selected")) - np.exp(predicted)).max() < 1e-5
    assert {"without_video", "without_audio"} < set(table["choice"])
    return JobRecord.read(paths.record)


def check_reference(folder: Path, name: str, datasets: FoldDatasets) -> None:
    """Check that the training clips' distances and means are those in the network written."""
    path = JobPaths.of(folder, name, TRIAL).checkpoint
    network, known = checkpoint.load(path), Reference.beside(path)
    expected = describe(network, Predictor(network, networks.NORMALISE, 3).batches(datasets.train))
    assert known is not None and known.modules == expected.modules and known.means.keys() == expected.means.keys()
    np.testing.assert_allclose(known.distances, expected.distances, rtol=1e-3)
    for module, mean in expected.means.items():
        np.testing.assert_allclose(known.means[module], mean, atol=1e-5)


def test_combine_writes_a_late_fusion_job(folder: Path, root: Path, manifest: Manifest, datasets: FoldDatasets) -> None:
    params = ("--params", str(root / "params.yaml"))
    result = CliRunner().invoke(combine.main, ["averaging", *JOB, str(folder), *params])
    assert result.exit_code == 0, result.output
    record = check(folder, "averaging", manifest, datasets)
    check_reference(folder, "averaging", datasets)
    assert (record.name, record.protocol, record.epochs) == ("averaging", "held_out", 0)


def test_evaluate_writes_a_job_of_an_imported_network(
    folder: Path, root: Path, manifest: Manifest, datasets: FoldDatasets, tmp_path: Path
) -> None:
    spec = networks.spec("cfnsr", manifest, TRIAL)
    checkpoint.save(tmp_path / "imported.safetensors", networks.network(spec), spec)
    options = ("--checkpoint", str(tmp_path / "imported.safetensors"), "--params", str(root / "params.yaml"))
    result = CliRunner().invoke(evaluate.main, ["cfnsr", *JOB, str(folder), *options])
    assert result.exit_code == 0, result.output
    record = check(folder, "cfnsr", manifest, datasets)
    check_reference(folder, "cfnsr", datasets)
    assert (record.name, record.protocol) == ("cfnsr", "imported")
    assert record.imported[0]["file"] == "imported.safetensors"
    predictions = pd.read_parquet(JobPaths.of(folder, "cfnsr", TRIAL).predictions)
    assert predictions.loc[predictions["choice"] == "selected", "attention"].notna().all()


def test_fuse_writes_a_job_without_a_model(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    audio = JobPaths.of(folder, "audio", TRIAL)
    replace(JobRecord.read(audio.record), seen="unknown", frozen_parameters=9).write(audio.record)
    entry = {"name": "both", "first": "video", "second": "audio", "rule": "multiplication"}
    write_params(tmp_path / "params.yaml", **{"run.fuse": [entry]})
    params = ("--params", str(tmp_path / "params.yaml"))
    result = CliRunner().invoke(fuse.main, ["both", *JOB, str(folder), *params])
    assert result.exit_code == 0, result.output
    paths = JobPaths.of(folder, "both", TRIAL)
    record, video = JobRecord.read(paths.record), JobRecord.read(JobPaths.of(folder, "video", TRIAL).record)
    assert (record.name, record.reads, record.seen, record.epochs) == ("both", ["audio", "video"], "unknown", 0)
    assert record.parameters == video.parameters + JobRecord.read(audio.record).parameters
    assert record.frozen_parameters == 9
    table = pd.read_parquet(paths.predictions)
    assert set(table["choice"]) == {"selected", "last_epoch", "best_test_epoch", "validation"}
    assert not paths.checkpoint.exists()
    result = CliRunner().invoke(fuse.main, ["other", *JOB, str(folder), *params])
    assert "run.fuse: no section 'other'; there are both" in result.output


@pytest.mark.parametrize("file", ["record", "predictions"])
def test_rows_of_other_speakers_are_not_fused(folder: Path, tmp_path: Path, file: str) -> None:
    entry = {"name": "both", "first": "video", "second": "audio", "rule": "averaging"}
    write_params(tmp_path / "params.yaml", **{"run.fuse": [entry]})
    paths = JobPaths.of(folder, "audio", TRIAL)
    other = {"test": ["01"], "validation": ["04"], "train": ["02", "03"]}
    if file == "record":
        replace(JobRecord.read(paths.record), speakers=other).write(paths.record)
    else:
        table = pd.read_parquet(paths.predictions)
        table.attrs["speakers"] = other
        table.to_parquet(paths.predictions, index=False)
    result = CliRunner().invoke(fuse.main, ["both", *JOB, str(folder), "--params", str(tmp_path / "params.yaml")])
    assert result.exit_code == 1 and result.output.count("\n") == 1
    assert f"{file}." in result.output and "its validation speakers are 04, the fold's are 02. Run" in result.output
    assert not JobPaths.of(folder, "both", TRIAL).record.exists()
