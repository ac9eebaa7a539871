"""Small networks with random weights for the made-up corpus."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from cfnsr.data.manifest import Manifest
from cfnsr.data.shards import Sample
from cfnsr.data.splits import Trial
from cfnsr.evaluation.predict import Normalise
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import Batch
from tests.support import zoo

CPU = torch.device("cpu")
PIXELS = zoo.PIXELS
NORMALISE = Normalise(**PIXELS, device=CPU)
ENCODERS = {**zoo.ENCODERS, "video": {**zoo.SMALLER_ENCODERS["video"], "width": 4, "cardinality": 2}}
OPTIONS: dict[str, dict[str, Any]] = {
    "concat": {"hidden": 4, "dropout": 0.1},
    "cfnsr": {**zoo.OPTIONS["cfnsr"], "attention_layers": 1, "feed_forward": 32},
}


def spec(name: str, manifest: Manifest, trial: Trial, **changes: Any) -> ModelSpec:
    """Describe a modality's or a system's network."""
    values: dict[str, Any] = {
        "name": name,
        "labels": manifest.labels,
        "encoders": {name: ENCODERS[name]} if name in ENCODERS else ENCODERS,
        "options": OPTIONS.get(name, {}),
        "inputs": manifest.shapes,
        **asdict(trial),
        "pixels": PIXELS,
        "preprocessing": manifest.preprocessing,
        "data": manifest.fingerprint,
        "imported": [],
        "speakers": manifest.speakers(trial).lists(),
    }
    return ModelSpec(**{**values, **changes})


def network(model_spec: ModelSpec, seed: int = 0) -> nn.Module:
    """Build a network with random weights, in evaluation mode."""
    torch.manual_seed(seed)
    return model_spec.build().eval()


def batch_of(sample: Sample) -> Batch:
    """Return a batch of one clip."""
    arrays = {name: torch.from_numpy(array[None]) for name, array in sample.arrays.items()}
    return Batch(arrays, torch.zeros(1, dtype=torch.int64))
