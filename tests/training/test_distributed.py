"""Several processes train one network as one process would."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cfnsr.evaluation import device
from cfnsr.models import encoders, fusion
from cfnsr.training import distributed
from cfnsr.training.loop import fit
from cfnsr.training.resume import ResumeCheckpoint
from tests.support import corpus
from tests.support.networks import CPU, ENCODERS, NORMALISE, OPTIONS
from tests.support.processes import together
from tests.support.training import AUDIO_OFF, SETTINGS, VIDEO_OFF, audio_network, clips, fold_of, new_trainer, run_job

# Of 25 clips the last batch has 1 clip, which is left out, or 6 clips or more: each process needs two.
TRAININGS: dict[str, dict[str, Any]] = {
    "divisible": {"batch_size": 12},
    "uneven": {"batch_size": 18, "weight_decay": 0.1},  # without decay, Adam ignores a gradient's length
    "weighted": {"batch_size": 9, "class_weights": "balanced", "label_smoothing": 0.1, "clip_norm": 0.5},
    "accumulated": {"batch_size": 8, "accumulate": 3, "schedule": "cosine"},
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write shards of 12 and 13 training clips."""
    folder = tmp_path_factory.mktemp("uneven")
    for actor, count in (("01", 5), ("02", 8), ("03", 12), ("04", 13)):
        corpus.write(folder, actors=[actor], clips=count)
    return folder


def cfnsr() -> nn.Module:
    """Build CFN-SR without dropout and with frozen batch normalisation: a clip's gradient depends on no other clip."""
    torch.manual_seed(5)
    options = {modality: {**section} for modality, section in ENCODERS.items()}
    video = encoders.build("video", options["video"].pop("name"), 8, [4, 16, 16, 3], **options["video"])
    audio = encoders.build("audio", "mfcc_cnn", 8, [13, 36], dropout=0.0, head_dropout=0.0)
    off = {"attention_dropout": 0.0, "position_dropout": 0.0, "audio_dropout": 0.0}
    network = fusion.build("cfnsr", video, audio, 8, **{**OPTIONS["cfnsr"], **off})
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm3d):
            layer.requires_grad_(False)
    return network


def train(shards: Path) -> dict[str, tuple[list[float], np.ndarray]]:
    """Return the losses of two epochs and the predictions after them, by name of ``TRAININGS``."""
    device.make_reproducible(1, 1, CPU)
    results = {}
    for name, changes in TRAININGS.items():
        # A low learning rate: where a gradient is almost 0, Adam makes a whole step of its rounding error.
        settings = replace(SETTINGS, **{"epochs": 2, "learning_rate": 0.0005, **changes})
        network = cfnsr()
        trainer = new_trainer(shards, network, settings, video=VIDEO_OFF, audio=AUDIO_OFF)
        losses = [trainer.train_epoch(number) for number in (1, 2)]
        results[name] = losses, distributed.SharedPredictor(network, NORMALISE, 4).predict(clips(shards, "01", "02"))
    return results


def test_processes_learn_what_one_process_does(shards: Path, tmp_path: Path) -> None:
    alone = train(shards)
    for count in (2, 3):
        for results in together(count, train, shards, out=tmp_path):
            for name, (losses, predicted) in alone.items():
                np.testing.assert_allclose(results[name][0], losses, rtol=0, atol=1e-5, err_msg=name)
                np.testing.assert_allclose(results[name][1], predicted, rtol=0, atol=1e-4, err_msg=name)
    assert all(losses[1] < 0.95 * losses[0] for losses, _ in alone.values())


def exchanged() -> tuple[Any, ...]:
    rank = distributed.rank()
    own = {"a": rank}
    return distributed.all_gather(own), distributed.broadcast(own), distributed.total(rank + 1.5, CPU)


def test_processes_exchange_values(tmp_path: Path) -> None:
    assert exchanged() == ([{"a": 0}], {"a": 0}, 1.5)
    expected = ([{"a": 0}, {"a": 1}], {"a": 0}, 4.0)
    assert together(2, exchanged, out=tmp_path) == [expected, expected]


def fit_resuming(shards: Path, out: Path, stops: int) -> dict[str, torch.Tensor]:
    """Fit a network with dropout and batch normalisation, started again after each of the first epochs."""
    device.make_reproducible(1, 1, CPU)
    out.mkdir(exist_ok=True)
    settings, fold = replace(SETTINGS, epochs=4), fold_of(shards)
    for last in [*range(1, stops + 1), settings.epochs]:
        network = audio_network()
        trainer = new_trainer(shards, network, settings)
        trainer.settings = replace(settings, epochs=last)
        predictor = distributed.SharedPredictor(network, NORMALISE, 4)
        fitted = fit(trainer, fold, predictor, resume=ResumeCheckpoint(out, "name"), report=lambda epoch: None)
        assert len(fitted.epochs) == last
    return network.state_dict()


def test_resumed_processes_end_alike(shards: Path, tmp_path: Path) -> None:
    whole, resumed = (together(2, fit_resuming, shards, tmp_path / str(n), n, out=tmp_path) for n in (0, 2))
    first, *others = [*whole, *resumed]
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)
    assert len(list(tmp_path.glob("*/*.pt"))) == 2  # one process alone saves


def run_with_own_params(folder: Path) -> None:
    os.chdir(folder)
    run_job(folder, corpus.manifest(folder / "shards"), shared={"clip_norm": float(os.environ["RANK"])})


def test_processes_that_differ_are_rejected(tmp_path: Path) -> None:
    corpus.write(tmp_path / "shards")
    errors = together(2, run_with_own_params, tmp_path, out=tmp_path, joined=False)
    assert set(errors) == {"train.devices: the processes differ in code, params or data. Use one commit for all"}
