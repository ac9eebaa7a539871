"""Build the network that a job starts from."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import MODALITIES


def unimodal(
    modality: str, encoder: dict[str, Any], trial: Trial, manifest: Manifest, *, pixels: dict[str, Any]
) -> tuple[nn.Module, ModelSpec]:
    """Build one modality's network with fresh weights.

    Args:
        modality: ``video`` or ``audio``.
        encoder: ``name`` of the encoder, and its options.
        trial: whose training speakers it will be trained on.
        manifest: labels, preprocessing and the shapes of the arrays, which size the encoder.
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


def fused(
    system: str, options: dict[str, Any], trial: Trial, manifest: Manifest, corpus_folder: Path, *, freeze: bool
) -> tuple[nn.Module, ModelSpec]:
    """Build a system on the encoders of its own trial's unimodal checkpoints.

    Args:
        system: its name.
        options: its own.
        trial: whose training speakers it will be trained on.
        manifest: its fingerprint must be that of the unimodal checkpoints.
        corpus_folder: ``data/<corpus>``, which holds the unimodal checkpoints.
        freeze: whether the encoders' weights stay as they are.

    Raises:
        CfnsrError: a unimodal checkpoint is of another trial, whose test or validation speakers it may have been
            trained on; of other data; or imported.
    """
    paths = {modality: JobPaths.of(corpus_folder, modality, trial).checkpoint for modality in MODALITIES}
    specs = {modality: checkpoint.read_spec(path) for modality, path in paths.items()}
    expected = {**asdict(trial), "data": manifest.fingerprint}
    for modality, path in paths.items():
        if specs[modality].imported:
            raise CfnsrError(
                path,
                f"is imported; {system} cannot be trained on it, as it may know this fold's validation speakers",
                "Name video and audio in run.pretrain",
            )
        actual = {key: getattr(specs[modality], key) for key in expected}
        differences = [f"{key} {actual[key]}, not {value}" for key, value in expected.items() if actual[key] != value]
        if differences:
            raise CfnsrError(path, f"was trained for {'; '.join(differences)}", "Run `dvc repro pretrain`")
    spec = replace(
        specs["video"],
        name=system,
        options=options,
        encoders={modality: specs[modality].encoders[modality] for modality in paths},
    )
    encoders = {modality: checkpoint.load_encoder(path) for modality, path in paths.items()}
    if freeze:
        for encoder in encoders.values():
            encoder.stages.requires_grad_(False)
    return spec.build(encoders), spec
