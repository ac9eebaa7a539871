"""Small networks with random weights for the made-up corpus."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation.predict import Normalise
from cfnsr.models.spec import ModelSpec

CPU = torch.device("cpu")
PIXELS: dict[str, Any] = {"mean": [110.0] * 3, "std": [40.0] * 3, "order": "rgb"}
NORMALISE = Normalise(**PIXELS, device=CPU)
ENCODERS: dict[str, dict[str, Any]] = {
    "video": {"name": "resnext3d", "layers": [1, 1, 1, 1], "width": 4, "cardinality": 2, "stem_relu": True},
    "audio": {"name": "mfcc_cnn", "dropout": 0.2, "head_dropout": 0.4},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "concat": {"hidden": 4, "dropout": 0.1},
    "cfnsr": {
        "residual": True,
        "self_attention": True,
        "cross_modal": True,
        "attention_layers": 1,
        "heads": 8,
        "feed_forward": 32,
        "attention_dropout": 0.1,
        "position_dropout": 0.3,
        "audio_dropout": 0.4,
    },
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
    }
    return ModelSpec(**{**values, **changes})


def network(model_spec: ModelSpec, seed: int = 0) -> nn.Module:
    """Build a network with random weights, in evaluation mode."""
    torch.manual_seed(seed)
    return model_spec.build().eval()
