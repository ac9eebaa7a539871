from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cfnsr.corpora.filenames import LABELS
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import imported
from cfnsr.evaluation.outputs import write_outputs
from cfnsr.evaluation.predict import Predictor
from cfnsr.models import checkpoint
from tests.support import corpus, networks

TRIAL = corpus.trial("fold_1")
FILES = [{"file": "published.pth", "sha256": "0123456789abcdef" * 4, "differs": []}]


def saved(folder: Path, manifest: Manifest, name: str = "audio", **changes: Any) -> Path:
    """Save a network as the importer does."""
    spec = networks.spec(name, manifest, TRIAL, **{"imported": FILES, **changes})
    checkpoint.save(folder / "imported.safetensors", networks.network(spec), spec)
    return folder / "imported.safetensors"


@pytest.mark.parametrize("name", ["audio", "cfnsr"])
def test_an_imported_network_is_evaluated_as_it_is(
    tmp_path: Path, manifest: Manifest, datasets: FoldDatasets, name: str
) -> None:
    path = saved(tmp_path, manifest, name)
    network, spec = imported.load(path, name, TRIAL, manifest)
    choices = {"selected": Predictor(network, networks.NORMALISE, 3).predict(datasets.test)}
    original = Predictor(checkpoint.load(path), networks.NORMALISE, 4).predict(datasets.test)
    assert np.abs(choices["selected"] - original).max() < 1e-5
    paths = JobPaths.of(tmp_path, name, TRIAL)
    write_outputs(paths, network, spec, datasets, choices)
    record = JobRecord.read(paths.record)
    assert (record.protocol, record.data, record.epochs) == ("imported", manifest.fingerprint, 0)
    assert record.imported == FILES


@pytest.mark.parametrize(
    ("changes", "name", "fold", "problem"),
    [
        ({}, "video", "fold_1", "its system is audio, not video"),
        ({}, "audio", "fold_2", "its fold is fold_1, not fold_2"),
        ({"labels": list(LABELS)[::-1]}, "audio", "fold_1", r"its labels is \['surprised'"),
    ],
)
def test_a_network_of_another_job_is_refused(
    tmp_path: Path, manifest: Manifest, changes: dict[str, Any], name: str, fold: str, problem: str
) -> None:
    path = saved(tmp_path, manifest, **changes)
    with pytest.raises(CfnsrError, match=problem):
        imported.load(path, name, corpus.trial(fold), manifest)


def test_a_network_for_other_clips_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    other = replace(manifest, shapes={**manifest.shapes, "mfcc": [13, 99]})
    with pytest.raises(CfnsrError, match=r"was made for clips of shapes .*'mfcc': \[13, 36\].* not .*\[13, 99\]"):
        imported.load(saved(tmp_path, manifest), "audio", TRIAL, other)


def test_differences_in_preprocessing_are_recorded(tmp_path: Path, manifest: Manifest) -> None:
    path = saved(tmp_path, manifest, preprocessing={"size": 32, "extract": {"video": {"frames": 30}}})
    _, spec = imported.load(path, "audio", TRIAL, manifest)
    assert spec.imported[0]["differs"] == ["extract.video.frames was 30, is None", "size was 32, is 16"]
    assert spec.preprocessing == manifest.preprocessing


@pytest.mark.parametrize("imported_from", [[], [{}]])
def test_unexpected_headers_are_recorded(
    tmp_path: Path, manifest: Manifest, imported_from: list[dict[str, Any]]
) -> None:
    path = saved(tmp_path, manifest, preprocessing={"size": {"x": 1}, "crop": []}, imported=imported_from)
    _, spec = imported.load(path, "audio", TRIAL, manifest)
    assert spec.imported[0]["differs"] == ["crop was [], is None", "size was {'x': 1}, is 16"]


def test_an_own_network_is_recorded_by_its_file(tmp_path: Path, manifest: Manifest) -> None:
    path = saved(tmp_path, manifest, imported=[])
    _, spec = imported.load(path, "audio", TRIAL, manifest)
    assert spec.imported[0]["file"] == "imported.safetensors"
    assert spec.imported[0]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_markup_in_a_files_header_is_replaced(tmp_path: Path, manifest: Manifest) -> None:
    path = saved(tmp_path, manifest, imported=[{"file": "<b>|x", "sha256": "<img>"}])
    _, spec = imported.load(path, "audio", TRIAL, manifest)
    assert spec.imported == [{"file": "_b__x", "sha256": "_img_", "differs": []}]


def test_a_network_that_learned_test_speakers_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    path = saved(
        tmp_path, manifest, imported=[], speakers={"test": ["04"], "validation": ["01"], "train": ["02", "03"]}
    )
    with pytest.raises(CfnsrError, match="it was trained on speakers 01, who test in fold_1"):
        imported.load(path, "audio", TRIAL, manifest)
