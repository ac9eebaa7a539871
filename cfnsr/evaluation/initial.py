"""Build a job's network: a modality's with fresh weights, or a system on the unimodal networks of its trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint, fusion
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import MODALITIES

UNIMODAL_ROWS = {modality: modality for modality in MODALITIES}


def unimodal(
    modality: str,
    encoder: dict[str, Any],
    trial: Trial,
    manifest: Manifest,
    *,
    pixels: dict[str, Any],
    shapes: dict[str, list[int]] | None = None,
) -> tuple[nn.Module, ModelSpec]:
    """Build the network of a modality with fresh weights.

    Args:
        modality: ``video`` or ``audio``.
        encoder: ``name`` of the encoder, and its options.
        trial: protocol, fold and seed.
        manifest: labels, preprocessing and the shapes of the arrays, which decide the size of the network.
        pixels: ``mean`` and ``std`` of each channel, and their ``order``.
        shapes: of arrays that are read in place of the manifest's.
    """
    spec = ModelSpec(
        name=modality,
        labels=manifest.labels,
        encoders={modality: encoder},
        options={},
        inputs=manifest.shapes if shapes is None else shapes,
        **asdict(trial),
        pixels=pixels,
        preprocessing=manifest.preprocessing,
        data=manifest.fingerprint,
        imported=[],
        speakers=manifest.speakers(trial).lists(),
    )
    return spec.build(), spec


def fused(
    system: str,
    options: dict[str, Any],
    trial: Trial,
    corpus_folder: Path,
    manifest: Manifest,
    *,
    freeze_encoders: bool = False,
    rows: Mapping[str, str] = UNIMODAL_ROWS,
) -> tuple[nn.Module, ModelSpec]:
    """Build a system on the unimodal networks of its trial.

    Args:
        system: its name.
        options: its own.
        trial: that of the unimodal networks.
        corpus_folder: ``data/<corpus>``, which holds these networks.
        manifest: describes the data that they were trained on.
        freeze_encoders: whether the weights of the encoders' stages stay as they are in training.
        rows: by modality, the row of the unimodal network.

    Raises:
        CfnsrError: a unimodal network is of another trial or of other speakers, so that it may have been trained on
            speakers of this trial's test or validation set; or was trained on other data; or is imported, and the
            system trains.
    """
    paths = {modality: JobPaths.of(corpus_folder, rows[modality], trial).checkpoint for modality in MODALITIES}
    specs = {modality: _checked_spec(path, trial, manifest) for modality, path in paths.items()}
    imported = [file for spec in specs.values() for file in spec.imported]
    if imported and fusion.trains(system):
        problem = f"{system} would train on imported networks, which may have seen the validation speakers"
        raise CfnsrError(paths["video"].parent, problem, "Add video and audio to run.pretrain")
    encoders = {modality: checkpoint.load_encoder(path) for modality, path in paths.items()}
    if freeze_encoders:
        for encoder in encoders.values():
            encoder.stages.requires_grad_(False)
    spec = replace(
        specs["video"],
        name=system,
        encoders={modality: specs[modality].encoders[modality] for modality in MODALITIES},
        options=options,
        inputs={**specs["video"].inputs, **specs["audio"].inputs},
        protocol=trial.protocol,
        imported=imported,
    )
    return spec.build(encoders), spec


def _checked_spec(path: Path, trial: Trial, manifest: Manifest) -> ModelSpec:
    """Read the spec of a unimodal network, and check that it is of this trial and data."""
    spec = checkpoint.read_spec(path)
    expected = {"fold": trial.fold, "seed": trial.seed, "data": manifest.fingerprint}
    if not spec.imported:  # an imported network has no protocol of this run, and nothing trains on it
        expected["protocol"] = trial.protocol
    different = [
        f"{key} {getattr(spec, key)}, not {value}" for key, value in expected.items() if getattr(spec, key) != value
    ]
    if different:
        problem = f"was trained for {'; '.join(different)}"
        raise CfnsrError(path, problem, "Run `dvc repro` without `-s`, or import the right file")
    manifest.speakers(trial).require(spec.speakers, path)
    return spec
