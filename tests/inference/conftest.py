"""Saved models, one that is exported once, and clips that the pipeline's functions prepared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cfnsr.corpora import studio
from cfnsr.corpora.clip import Clip
from cfnsr.data.dataset import Clips
from cfnsr.inference import export, formats
from cfnsr.models import checkpoint
from cfnsr.models.spec import ModelSpec
from tests.support import networks, prepared, zoo

COUNT = 3  # of clips
Saved = tuple[Path, nn.Module]


@pytest.fixture(scope="session")
def by_openface(tmp_path_factory: pytest.TempPathFactory, studio_actor: Path) -> tuple[list[Clip], Clips]:
    """Some clips of an actor and their arrays, by OpenFace's landmarks."""
    return prepared.clips(studio_actor, tmp_path_factory.mktemp("prepared") / "openface", "openface", COUNT)


@pytest.fixture(scope="session")
def by_face_mesh(tmp_path_factory: pytest.TempPathFactory, studio_actor: Path) -> tuple[list[Clip], Clips]:
    """The same clips by the landmarks of a detector."""
    return prepared.clips(studio_actor, tmp_path_factory.mktemp("prepared") / "face_mesh", "face_mesh", COUNT)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Saved]:
    """Write a network with random weights; return its path, and the network."""

    def write(name: str, source: str = "openface", **changes: Any) -> Saved:
        preprocessing = prepared.preprocessing(source)
        sizes = preprocessing["extract"]["video"]
        shapes = {**zoo.SHAPES, "frames": [sizes["frames"], sizes["side_px"], sizes["side_px"], 3]}
        values: dict[str, Any] = {
            "name": name,
            "labels": studio.labels(),
            "encoders": {name: networks.ENCODERS[name]} if name in networks.ENCODERS else networks.ENCODERS,
            "options": {**zoo.OPTIONS.get(name, {}), **zoo.SMALLER.get(name, {}), **networks.OPTIONS.get(name, {})},
            "inputs": shapes,
            **{"protocol": "held_out", "fold": "fold_1", "seed": 1, "data": "", "imported": []},
            "pixels": networks.PIXELS,
            "preprocessing": preprocessing,
        }
        spec = ModelSpec(**{**values, **changes})
        torch.manual_seed(7)
        network = spec.build().eval()
        path = tmp_path / name / "model.safetensors"
        checkpoint.save(path, network, spec)
        return path, network

    return write


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
