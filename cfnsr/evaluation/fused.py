"""Build a system on the unimodal networks of its own trial."""

from __future__ import annotations

from dataclasses import replace
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


def build(
    system: str,
    options: dict[str, Any],
    trial: Trial,
    corpus_folder: Path,
    manifest: Manifest,
    *,
    freeze_encoders: bool = False,
) -> tuple[nn.Module, ModelSpec]:
    """Build a system on top of its trial's unimodal networks.

    Args:
        system: its name.
        options: its own.
        trial: must be that of the unimodal networks.
        corpus_folder: ``data/<corpus>``, which holds these networks.
        manifest: must describe the data that they were trained on.
        freeze_encoders: whether the weights of the encoders' stages stay as they are in training.

    Raises:
        CfnsrError: a unimodal network is of another trial, and so was trained on speakers of this trial's test or
            validation set; or was trained on other data; or is imported, and the system would train on it.
    """
    paths = {modality: JobPaths.of(corpus_folder, modality, trial).checkpoint for modality in MODALITIES}
    specs = {modality: _checked_spec(path, trial, manifest) for modality, path in paths.items()}
    imported = [file for spec in specs.values() for file in spec.imported]
    if imported and fusion.trains(system):
        raise CfnsrError(
            paths["video"].parent,
            f"{system} would train on imported networks, which may know this fold's validation speakers",
            "Name video and audio in run.pretrain",
        )
    encoders = {modality: checkpoint.load_encoder(path) for modality, path in paths.items()}
    if freeze_encoders:
        for encoder in encoders.values():
            encoder.stages.requires_grad_(False)
    spec = replace(
        specs["video"],
        name=system,
        encoders={modality: specs[modality].encoders[modality] for modality in MODALITIES},
        options=options,
        protocol=trial.protocol,
        imported=imported,
    )
    return spec.build(encoders), spec


def _checked_spec(path: Path, trial: Trial, manifest: Manifest) -> ModelSpec:
    """Read the spec of a unimodal network, checked to be of this trial and data."""
    spec = checkpoint.read_spec(path)
    expected = {"fold": trial.fold, "seed": trial.seed, "data": manifest.fingerprint}
    if not spec.imported:  # an imported network has no protocol of this run, and nothing trains on it
        expected["protocol"] = trial.protocol
    different = [
        f"{key} {getattr(spec, key)}, not {value}" for key, value in expected.items() if getattr(spec, key) != value
    ]
    if different:
        raise CfnsrError(
            path, f"was trained for {'; '.join(different)}", "Run `dvc repro pretrain`, or import the right file"
        )
    return spec
