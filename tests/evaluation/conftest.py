from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import CHOICES, VALIDATION, JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.evaluation.module_features import describe
from cfnsr.evaluation.outputs import write_outputs
from cfnsr.evaluation.predict import LogProbabilities, Predictor
from tests.support import corpus, networks

TRIAL = corpus.trial("fold_1")


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ``data/made_up``: shards and, for folds 1 and 2, the jobs of both modalities."""
    folder = tmp_path_factory.mktemp("data") / "made_up"
    corpus.write(folder / "shards")
    manifest = corpus.manifest(folder / "shards")
    manifest.write(folder / "manifest.json")
    for seed, fold in enumerate(("fold_1", "fold_2")):
        for modality in networks.ENCODERS:
            trial = corpus.trial(fold)
            datasets = FoldDatasets.open(trial, folder / "shards", manifest)
            spec = networks.spec(modality, manifest, trial)
            network = networks.network(spec, seed)
            predictor = Predictor(network, networks.NORMALISE, 4)
            predicted = predictor.predict(datasets.test)
            choices = {choice: predicted if choice == "selected" else at_random(seed) for choice in CHOICES}
            paths = JobPaths.of(folder, modality, trial)
            choices[VALIDATION] = at_random(seed)
            reference = describe(network, predictor.batches(datasets.train))
            write_outputs(paths, network, spec, datasets, choices, reference=reference)
    return folder


def at_random(seed: int) -> LogProbabilities:
    """Return log-probabilities of eight clips."""
    scores = np.random.default_rng(seed).normal(size=(8, 8)).astype(np.float32)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


@pytest.fixture(scope="session")
def manifest(corpus_folder: Path) -> Manifest:
    return Manifest.read(corpus_folder / "manifest.json")


@pytest.fixture(scope="session")
def datasets(corpus_folder: Path, manifest: Manifest) -> FoldDatasets:
    """Open the clips of fold 1."""
    return FoldDatasets.open(TRIAL, corpus_folder / "shards", manifest)
