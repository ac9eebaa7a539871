"""Small trainings on the made-up corpus of ``tests.support.corpus``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ruamel.yaml import YAML
from torch import nn

from cfnsr import config
from cfnsr.corpora.filenames import LABELS
from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.evaluation import initial
from cfnsr.evaluation.predict import LogProbabilities, Predictor
from cfnsr.models import encoders
from cfnsr.training.augment import Augment
from cfnsr.training.loop import Epoch, Fit, Trainer, fit
from cfnsr.training.resume import ResumeCheckpoint
from cfnsr.training.run import run
from cfnsr.training.settings import TrainingSettings
from tests.support import corpus
from tests.support.networks import ENCODERS, NORMALISE, PIXELS

SHARED: dict[str, Any] = config.load(Path(__file__).parents[2] / "params.yaml").train.model_dump() | {"threads": 1}
TRAINING: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 0.003, "weight_decay": 0.0}
SETTINGS = TrainingSettings.of(TRAINING, SHARED, "fp32")
# Augmentation options that change nothing.
VIDEO_OFF: dict[str, float] = {
    "flip": 0.0,
    "shift": 0.0,
    "crop_scale": 1.0,
    "crop_ratio": 1.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "jitter": 0,
}
AUDIO_OFF: dict[str, float] = {
    "gain_db": 0.0,
    "noise": 0.0,
    "noise_db": -30.0,
    "shift": 0.0,
    "time_masks": 0,
    "time_mask": 0.1,
    "band_masks": 0,
    "band_mask": 0.1,
}


def audio_network() -> nn.Module:
    torch.manual_seed(5)
    encoder = encoders.build("audio", "mfcc_cnn", 8, [13, 36], dropout=0.2, head_dropout=0.4)
    return encoders.Unimodal(encoder, "audio")


def clips(folder: Path, *speakers: str) -> Clips:
    return Clips(folder, list(speakers), list(LABELS))


def new_trainer(
    folder: Path, network: nn.Module, settings: TrainingSettings = SETTINGS, *, seed: int = 3, **augment: Any
) -> Trainer:
    """Create a trainer on the clips of two speakers."""
    return Trainer(
        network,
        clips(folder, "03", "04"),
        settings,
        augment=Augment(**{**SHARED["augment"], **augment}),
        normalise=NORMALISE,
        seed=seed,
    )


def log_probabilities(first: float, second: float) -> LogProbabilities:
    """Return predictions of two clips of classes 0 and 1, each with this probability of its class."""
    return np.log(np.array([[first, 1 - first], [1 - second, second]], np.float32))


@dataclass(frozen=True)
class ScriptedPredictor(Predictor):
    """Predicts given values, validation and test in turn."""

    validation: Iterator[LogProbabilities] = field(default_factory=lambda: iter(()))
    test: Iterator[LogProbabilities] | None = None
    weights: list[dict[str, torch.Tensor]] = field(default_factory=list)

    def predict(self, clips: Clips) -> LogProbabilities:
        if clips.index["actor"][0] == "01":
            return log_probabilities(0.9, 0.9) if self.test is None else next(self.test)
        self.weights.append({name: value.clone() for name, value in self.network.state_dict().items()})
        return next(self.validation)


def fold_of(folder: Path) -> FoldDatasets:
    """Open a fold: test speaker 01, validation speaker 02, training speakers 03 and 04."""
    return FoldDatasets(corpus.trial("fold_1"), clips(folder, "01"), clips(folder, "02"), clips(folder, "03", "04"))


def scripted_fit(
    folder: Path,
    resume: Path,
    network: nn.Module,
    validation: list[LogProbabilities],
    settings: TrainingSettings,
    test: list[LogProbabilities] | None = None,
) -> tuple[Fit, list[Epoch], list[dict[str, torch.Tensor]]]:
    """Fit on a corpus of two clips a speaker, with predictions that are known beforehand.

    Returns:
        The result, the reported epochs, and the weights after each.
    """
    predictor = ScriptedPredictor(network, NORMALISE, 4, iter(validation), None if test is None else iter(test))
    reported: list[Epoch] = []
    fitted = fit(
        new_trainer(folder, network, settings),
        fold_of(folder),
        predictor,
        resume=ResumeCheckpoint(resume, "scripted"),
        report=reported.append,
    )
    return fitted, reported, predictor.weights


def run_job(
    corpus_folder: Path,
    manifest: Manifest,
    modality: str = "audio",
    *,
    out: Path | None = None,
    fold: str = "fold_1",
    protocol: str = "held_out",
    seed: int = corpus.SEED,
    encoder: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    shared: dict[str, Any] | None = None,
) -> JobPaths:
    """Train one modality on one fold; outputs go below ``out``, or else ``corpus_folder``."""
    trial = corpus.trial(fold, protocol, seed)
    paths = JobPaths.of(out or corpus_folder, modality, trial)
    section = {**ENCODERS[modality], **(encoder or {})}
    run(
        lambda: initial.unimodal(modality, section, trial, manifest, pixels=PIXELS),
        trial,
        corpus_folder,
        manifest,
        paths,
        training={**TRAINING, **(training or {})},
        shared={**SHARED, **(shared or {})},
    )
    return paths


@cache
def _shipped_params() -> dict[str, Any]:
    return YAML(typ="safe").load(Path(__file__).parents[2] / "params.yaml")


def write_params(path: Path, **changes: Any) -> None:
    """Write a params.yaml of tiny sizes, with changes by dotted key; in JSON, which is YAML that is written fast."""
    values = deepcopy(_shipped_params())
    sizes: dict[str, Any] = {
        f"encoders.video.options.{name}": ENCODERS["video"][name] for name in ("width", "cardinality")
    }
    for row in ("pretrain.video", "pretrain.audio", "systems.cfnsr.training"):
        sizes |= {f"{row}.epochs": 2, f"{row}.batch_size": 4}
    for key, value in {**sizes, "train.threads": 1, "systems.cfnsr.options.attention_layers": 1, **changes}.items():
        *sections, name = key.split(".")
        section = values
        for part in sections:
            section = section[part]
        section[name] = value
    path.write_text(json.dumps(values))
