"""Saved models, and one that is exported once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cfnsr.inference import export, formats
from cfnsr.models import checkpoint
from cfnsr.models.spec import ModelSpec
from tests.support import zoo


def save(path: Path, spec: ModelSpec) -> Path:
    """Save a network whose BatchNorm has statistics of made-up clips, not those at the start."""
    torch.manual_seed(0)
    network = export.FromShards(spec.build(), spec.pixels)
    network.train()(formats.tensors(export.example_arrays(spec, list(spec.inputs), 4)))
    checkpoint.save(path, network.network, spec)
    return path


@pytest.fixture(scope="session")
def audio_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network on MFCC."""
    return save(tmp_path_factory.mktemp("exported") / "model.safetensors", zoo.spec("audio"))


@pytest.fixture(scope="session")
def audio_onnx(audio_model: Path) -> Path:
    """The same, exported."""
    export.export(audio_model, audio_model.with_name("audio.onnx"))
    return audio_model.with_name("audio.onnx")
