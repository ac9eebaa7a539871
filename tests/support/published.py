"""The published networks' weights and logits (golden/seed_networks.json).

The weights are generated from a seed, not learned: what is compared is arithmetic.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cfnsr.models.types import Batch

GOLDEN = Path(__file__).parents[1] / "golden" / "seed_networks.json"

# Without these the attention, or the audio beside it, would hardly move the logits of random weights.
_GAINS = {
    "msaf.0.channel_affine.weight": 0.05,
    "msaf.0.attn_weight_affine.weight": 30.0,
    "audio_model_blocks.0.10.weight": 0.1,
    "self_attn.in_proj_weight": 2.0,
    "self_attn.out_proj.weight": 4.0,
}
# Shifted down, so that the stem's ReLU sees negative values.
_SHIFTED = ("bn1.bias", "video_model_blocks.0.1.bias")


def system(name: str) -> dict[str, Any]:
    """Read the record of one published network: ``parameters``, ``keys``, ``logits``."""
    return json.loads(GOLDEN.read_text())["systems"][name]


def state(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Generate the weights of one published network, under their published names; calls share the tensors."""
    return dict(_weights(name, seed))


@cache
def _weights(name: str, seed: int) -> dict[str, Tensor]:
    return {
        key: _weight(key, name, shape, 1000 * seed + number) for number, (key, shape) in enumerate(system(name)["keys"])
    }


def clip(seed: int = 0) -> Batch:
    """Generate the clip that the recorded logits are of."""
    frames = np.random.RandomState(500000 + seed).standard_normal(3 * 30 * 224 * 224)
    mfcc = 20 * np.random.RandomState(600000 + seed).standard_normal(13 * 212)
    arrays = {
        "frames": torch.from_numpy(frames.astype(np.float32)).view(1, 3, 30, 224, 224),
        "mfcc": torch.from_numpy(mfcc.astype(np.float32)).view(1, 13, 212),
    }
    return Batch(arrays, torch.zeros(1, dtype=torch.int64))


def difference(log_probs: Tensor, name: str) -> float:
    """Compute the largest distance from the published log-probabilities."""
    expected = torch.tensor(system(name)["logits"]).log_softmax(dim=0)
    return (log_probs[0] - expected).abs().max().item()


def _weight(key: str, name: str, shape: list[int], seed: int) -> Tensor:
    values = np.random.RandomState(seed).standard_normal(int(np.prod(shape))).astype(np.float32).reshape(shape)
    gain = next((gain for end, gain in _GAINS.items() if name in {"cfnsr", "msaf"} and key.endswith(end)), 1.0)
    if key.endswith("running_var"):
        values = 1 + 0.5 * values**2
    elif key.endswith("running_mean"):
        values = 0.1 * values
    elif len(shape) >= 2:
        values = values * np.sqrt(2 / np.prod(shape[1:])) * gain
    elif key.endswith("weight"):
        values = (1 + 0.1 * values) * gain
    else:
        values = 0.1 * values - (4 if key in _SHIFTED and name != "audio" else 0)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
