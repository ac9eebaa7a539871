"""Build one modality's network with fresh weights; ``cfnsr.evaluation.fused`` builds systems on trained ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn

from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.models.spec import ModelSpec


def unimodal(
    modality: str, encoder: dict[str, Any], trial: Trial, manifest: Manifest, *, pixels: dict[str, Any]
) -> tuple[nn.Module, ModelSpec]:
    """Build one modality's network with fresh weights.

    Args:
        modality: ``video`` or ``audio``.
        encoder: ``name`` of the encoder, and its options.
        trial: whose training speakers it will be trained on.
        manifest: labels, preprocessing and the shapes of the arrays, which decide the size of the network.
        pixels: ``mean`` and ``std`` of each channel, and their ``order``.
    """
    spec = ModelSpec(
        name=modality,
        labels=manifest.labels,
        encoders={modality: encoder},
        options={},
        inputs=manifest.shapes,
        **asdict(trial),
        pixels=pixels,
        preprocessing=manifest.preprocessing,
        data=manifest.fingerprint,
        imported=[],
    )
    return spec.build(), spec
