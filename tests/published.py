"""The published networks' weights and logits (golden/seed_networks.json), and their names in ours.

The weights are generated from a seed, not learned: what is compared is arithmetic.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parent / "golden" / "seed_networks.json"

# Without these the attention, or the audio beside it, would hardly move the logits of random weights.
_GAINS = {
    "msaf.0.channel_affine.weight": 0.05,
    "msaf.0.attn_weight_affine.weight": 30.0,
    "audio_model_blocks.0.10.weight": 0.1,
    "self_attn.in_proj_weight": 2.0,
    "self_attn.out_proj.weight": 4.0,
}
# Shifted down, so that the stem's ReLU has something to cut.
_SHIFTED = ("bn1.bias", "video_model_blocks.0.1.bias")

_BOTTLENECK = [
    (r"\.bn(\d)\.", r".norm\1."),
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
]
_NAMES = {
    "video": [
        (r"^conv1\.", "trunk.stem.conv."),
        (r"^bn1\.", "trunk.stem.norm."),
        (r"^layer", "trunk.layer"),
        (r"^fc\.", "head.linear."),
        *_BOTTLENECK,
    ],
    "audio": [
        (r"^conv(\d)\.", r"trunk.conv\1.conv."),
        (r"^bn2\.", "trunk.pool2.norm."),
        (r"^bn(\d)\.", r"trunk.conv\1.norm."),
        (r"^fc1\.", "head.linear."),
    ],
    "cfnsr": [
        *(
            (rf"^video_model_blocks\.0\.{number}\.", f"video.{ours}.")
            for number, ours in [(0, "stem.conv"), (1, "stem.norm"), *((i + 2, f"layer{i}") for i in range(1, 5))]
        ),
        *(
            (rf"^audio_model_blocks\.0\.{number}\.", f"audio.{ours}.")
            for number, ours in [
                (0, "conv1.conv"),
                (2, "conv1.norm"),
                (3, "conv2.conv"),
                (6, "pool2.norm"),
                (8, "conv3.conv"),
                (10, "conv3.norm"),
            ]
        ),
        (r"^msaf\.0\.channel_affine\.", "cross_modal.face."),
        (r"^msaf\.0\.y_affine\.", "cross_modal.voice."),
        (r"^msaf\.0\.attn_weight_affine\.", "cross_modal.score."),
        (r"^msaf\.0\.audio_attention\.layer_norm\.", "self_attention.norm."),
        (r"^msaf\.0\.audio_attention\.", "self_attention."),
        (r"\.fc(\d)\.", r".linear\1."),
        (r"\.layer_norms\.0\.", ".norm1."),
        (r"\.layer_norms\.1\.", ".norm2."),
        (r"^fc\.", "classifier."),
        *_BOTTLENECK,
    ],
}


def system(name: str) -> dict[str, Any]:
    """What is on record of one published network: ``parameters``, ``keys``, ``logits``."""
    return json.loads(GOLDEN.read_text())["systems"][name]


def load(network: nn.Module, name: str, seed: int = 0) -> nn.Module:
    """Give our network the generated weights of the published one; every weight must find its place."""
    state = {
        _ours(key, name): _weight(key, name, shape, 1000 * seed + number)
        for number, (key, shape) in enumerate(system(name)["keys"])
    }
    absent, unknown = network.load_state_dict(state, strict=False)
    assert not unknown
    assert all(key.endswith("num_batches_tracked") for key in absent)
    return network.eval()


def clip(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, an unused log-mel and MFCC of the generated clip."""
    frames = np.random.RandomState(500000 + seed).standard_normal(3 * 30 * 224 * 224)
    mfcc = 20 * np.random.RandomState(600000 + seed).standard_normal(13 * 212)
    return (
        torch.from_numpy(frames.astype(np.float32)).view(1, 3, 30, 224, 224),
        torch.zeros(1, 128, 212),
        torch.from_numpy(mfcc.astype(np.float32)).view(1, 13, 212),
    )


def difference(log_probs: Tensor, name: str) -> float:
    """Largest distance from the published log-probabilities."""
    expected = torch.tensor(system(name)["logits"]).log_softmax(dim=0)
    return (log_probs[0] - expected).abs().max().item()


def _ours(key: str, name: str) -> str:
    for pattern, ours in _NAMES[name]:
        key = re.sub(pattern, ours, key)
    return key


def _weight(key: str, name: str, shape: list[int], seed: int) -> Tensor:
    values = np.random.RandomState(seed).standard_normal(int(np.prod(shape))).astype(np.float32).reshape(shape)
    gain = next((gain for end, gain in _GAINS.items() if name == "cfnsr" and key.endswith(end)), 1.0)
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
