"""Every system at two sizes, and clips for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cfnsr.models import encoders, fusion
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import Batch

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
PIXELS: dict[str, Any] = {"mean": [110.0] * 3, "std": [40.0] * 3, "order": "rgb"}
MELS, STEPS = 128, 212
SHAPES = {"frames": [8, 64, 64, 3], "mel": [MELS, STEPS], "mfcc": [13, STEPS]}
ENCODERS: dict[str, dict[str, Any]] = {
    "video": {"name": "resnext3d", "layers": [3, 4, 6, 3], "width": 64, "cardinality": 32, "stem_relu": True},
    "audio": {"name": "mfcc_cnn", "dropout": 0.2, "head_dropout": 0.4},
}
SMALLER_ENCODERS = {**ENCODERS, "video": {**ENCODERS["video"], "layers": [1, 1, 1, 1], "width": 16, "cardinality": 8}}


def encoder(modality: str, options: dict[str, Any]) -> encoders.Encoder:
    options = dict(options)
    name = options.pop("name")
    return encoders.build(modality, name, 8, SHAPES[encoders.find(modality, name).reads], **options)


def paper_scale(name: str, **options: object) -> nn.Module:
    video, audio = (encoder(modality, section) for modality, section in ENCODERS.items())
    return fusion.build(name, video, audio, 8, **{**OPTIONS[name], **options})


def small_scale(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    video, audio = (encoder(modality, section) for modality, section in SMALLER_ENCODERS.items())
    return fusion.build(name, video, audio, 8, **{**OPTIONS[name], **SMALLER.get(name, {}), **options})


def spec(name: str, *, paper_scale: bool = False) -> ModelSpec:
    """Describe a network: a modality alone, or a system."""
    encoders = ENCODERS if paper_scale else SMALLER_ENCODERS
    options = {} if name in encoders else {**OPTIONS[name], **({} if paper_scale else SMALLER.get(name, {}))}
    return ModelSpec(
        name=name,
        labels=[f"emotion {number}" for number in range(8)],
        encoders={name: encoders[name]} if name in encoders else encoders,
        options=options,
        inputs={**SHAPES, "frames": [30, 224, 224, 3]} if paper_scale else SHAPES,
        protocol="held_out",
        fold="fold_1",
        seed=7,
        pixels=PIXELS,
        preprocessing={"extract": {"video": {"frames": 8}}},
        data="fingerprint",
        imported=[],
    )


def clips(count: int, frames: int = 8, size: int = 64) -> Batch:
    """Make a batch of random clips, the frames already normalised."""
    generator = torch.Generator().manual_seed(1)
    arrays = {
        "frames": torch.randn(count, 3, frames, size, size, generator=generator),
        "mel": 20 * torch.randn(count, MELS, STEPS, generator=generator) - 40,
        "mfcc": 20 * torch.randn(count, 13, STEPS, generator=generator),
    }
    return Batch(arrays, torch.arange(count) % 8)
