"""Every system at two sizes, and clips for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cfnsr.models import encoders, fusion

# A new system is named here once, with its published options, and every test that holds for all of them runs on it.
OPTIONS: dict[str, dict[str, Any]] = {
    "averaging": {},
    "multiplication": {},
    "multiplicative": {"beta": 0.3},
    "concat": {"hidden": 256, "dropout": 0.5},
    "mcbp": {"dimension": 16000, "hidden": 1568, "sketch_seed": 0},
    "mmtm": {"ratio": 4, "factor": 1.0},
    "msaf": {"widths": [16, 32], "reduction": 4, "block_dropout": 0.2},
    "eranns": {"width": 4, "depth": 4, "long_strides": 0, "slope": 0.01},
    "cfnsr": {
        "residual": True,
        "self_attention": True,
        "cross_modal": True,
        "attention_layers": 5,
        "heads": 8,
        "feed_forward": 256,
        "attention_dropout": 0.1,
        "position_dropout": 0.3,
        "audio_dropout": 0.4,
    },
}
SMALLER = {"mcbp": {"dimension": 128, "hidden": 16}, "eranns": {"width": 1, "depth": 2}}
MELS, STEPS = 128, 212
Clips = tuple[Tensor, Tensor, Tensor]


def paper_scale(name: str, **options: object) -> nn.Module:
    video = encoders.build("video", 8, layers=[3, 4, 6, 3], width=64, cardinality=32, stem_relu=True)
    audio = encoders.build("audio", 8, coefficients=13, steps=STEPS, dropout=0.2, head_dropout=0.4)
    return fusion.build(name, video, audio, 8, **{**OPTIONS[name], **options})


def small_scale(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    video = encoders.build("video", 8, layers=[1, 1, 1, 1], width=16, cardinality=8, stem_relu=True)
    audio = encoders.build("audio", 8, coefficients=13, steps=STEPS, dropout=0.2, head_dropout=0.4)
    return fusion.build(name, video, audio, 8, **{**OPTIONS[name], **SMALLER.get(name, {}), **options})


def clips(batch: int, frames: int = 8, size: int = 64) -> Clips:
    chance = torch.Generator().manual_seed(1)
    return (
        torch.randn(batch, 3, frames, size, size, generator=chance),
        20 * torch.randn(batch, MELS, STEPS, generator=chance) - 40,
        20 * torch.randn(batch, 13, STEPS, generator=chance),
    )
