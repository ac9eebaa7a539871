"""The network that a cell starts with: a new encoder, a system on its own fold's unimodal models, an imported one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint, fusion
from cfnsr.models.checkpoint import Specification


def unimodal(
    modality: str, trial: Trial, manifest: Manifest, options: dict[str, Any], *, pixels: dict[str, Any]
) -> tuple[nn.Module, Specification]:
    """One modality's network with fresh weights, and what is needed to build and use it again.

    Args:
        modality: ``video`` or ``audio``.
        trial: whose training speakers it learns from.
        manifest: labels, preprocessing and shapes; the audio encoder's weights are sized by the shards' MFCC.
        options: of the encoder.
        pixels: ``mean`` and ``deviation`` of each channel, and their ``order``.
    """
    if modality == "audio":
        coefficients, steps = manifest.shapes["mfcc"]
        options = {**options, "coefficients": coefficients, "steps": steps}
    specification: Specification = {
        "name": modality,
        "labels": manifest.labels,
        "encoders": {modality: options},
        "options": {},
        **asdict(trial),
        "pixels": pixels,
        "preprocessing": manifest.preprocessing,
        "data": manifest.fingerprint,
        "imported": [],
    }
    return checkpoint.build(specification), specification


def fused(
    system: str, options: dict[str, Any], trial: Trial, manifest: Manifest, models: Path, *, freeze: bool = False
) -> tuple[nn.Module, Specification]:
    """A system on top of its own trial's unimodal models, and its specification.

    Args:
        system: its name.
        options: its own.
        trial: whose training speakers it learns from.
        manifest: its fingerprint must be that of the unimodal models.
        models: folder of the unimodal models.
        freeze: whether the encoders' trunks stay as they are.

    Raises:
        CfnsrError: a unimodal model is of another trial, whose test or validation speakers it would have trained on, or
            of other data.
    """
    paths = {name: trial.within(models, name) / "model.safetensors" for name in checkpoint.MODALITIES}
    described = {modality: checkpoint.specification(path) for modality, path in paths.items()}
    for modality, path in paths.items():
        wanted = {**asdict(trial), "data": manifest.fingerprint}
        of = described[modality]
        if of["imported"]:
            wanted["protocol"] = of["protocol"]  # its speakers cannot be checked here, and nothing trains on it
        differs = [f"{key} {of.get(key)}, not {value}" for key, value in wanted.items() if of.get(key) != value]
        if differs:
            raise CfnsrError(
                path, f"was trained for {'; '.join(differs)}", "Run `dvc repro pretrain`, or import the right file"
            )
    imported = [file for modality in paths for file in described[modality]["imported"]]
    if imported and fusion.trains(system):
        raise CfnsrError(
            paths["video"].parent,
            f"{system} would train on imported models, which have learned from this fold's validation speakers",
            "Name video and audio in run.pretrain",
        )
    combined = {
        **described["video"],
        "name": system,
        "options": options,
        **asdict(trial),
        "encoders": {modality: described[modality]["encoders"][modality] for modality in paths},
        "imported": imported,
    }
    trained = {modality: checkpoint.encoder(path) for modality, path in paths.items()}
    if freeze:
        for encoder in trained.values():
            encoder.trunk.requires_grad_(False)
    return checkpoint.build(combined, trained), combined


def imported(path: Path, name: str, trial: Trial, manifest: Manifest) -> tuple[nn.Module, Specification]:
    """A network that was trained elsewhere, and its specification as of this run.

    Args:
        path: written by ``cfnsr import-checkpoint``.
        name: the system it should be.
        trial: whose test speakers it should not have learned from; nothing here draws from its seed.
        manifest: labels and shapes must be those it was made for.

    Raises:
        CfnsrError: it is of another system or fold, or was made for other emotions or another length of sound.
    """
    described = checkpoint.specification(path)
    audio = described["encoders"].get("audio", {})
    for what, has, wanted in (
        ("system", described["name"], name),
        ("fold", described["fold"], trial.fold),
        ("emotions", described["labels"], manifest.labels),
        (
            "MFCC",
            [audio["coefficients"], audio["steps"]] if audio else None,
            manifest.shapes["mfcc"] if audio else None,
        ),
    ):
        if has != wanted:
            raise CfnsrError(
                path, f"its {what} is {has}, not {wanted}", "Import the right file: `cfnsr import-checkpoint --help`"
            )
    files = described["imported"] or [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}]
    differs = list(_differences(described["preprocessing"], manifest.preprocessing))
    here = {
        "protocol": "imported",
        "seed": trial.seed,
        "preprocessing": manifest.preprocessing,
        "data": manifest.fingerprint,
        "imported": [
            # A header may say anything, and this will stand on a page.
            {**{key: re.sub(r"[^\w.-]", "_", str(file[key])) for key in ("file", "sha256")}, "differs": differs}
            for file in files
        ],
    }
    return checkpoint.load(path), {**described, **here}


def _differences(made_for: dict[str, Any], here: dict[str, Any], path: str = "") -> Iterator[str]:
    """Where the clips were not prepared as a network's were, as far as its file says."""
    for key, value in made_for.items():
        if isinstance(value, dict):
            yield from _differences(value, here.get(key, {}), f"{path}{key}.")
        elif here.get(key) != value:
            yield f"{path}{key} was {value}, is {here.get(key)}"
