"""Save and load networks: one safetensors file holds the weights and the ``ModelSpec``; no params.yaml is needed."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder, Unimodal
from cfnsr.models.spec import ModelSpec
from cfnsr.runtime.outputs import atomic_file

# One key: safetensors writes several in random order, and the file's bytes would differ from run to run.
_KEY = "cfnsr"


def save(path: Path, network: nn.Module, spec: ModelSpec) -> None:
    """Write a network's weights and description."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with atomic_file(path) as partial:
        save_file(tensors, partial, metadata={_KEY: spec.to_json()})


def read_spec(path: Path) -> ModelSpec:
    """Read the description in a saved model.

    Raises:
        CfnsrError: the file is missing, damaged, or not a model of cfnsr.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CfnsrError(path, f"cannot be read as safetensors ({error})", "Run its training stage again") from error
    if _KEY not in metadata:
        raise CfnsrError(path, "is safetensors, but not a model of cfnsr", "Give a model.safetensors written by cfnsr")
    return ModelSpec.from_json(metadata[_KEY], path)


def load(path: Path) -> nn.Module:
    """Build a saved network with its weights, in evaluation mode.

    Raises:
        CfnsrError: the file is not a model of cfnsr, or its tensors do not fit its description.
    """
    network = read_spec(path).build()
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise CfnsrError(path, f"tensors do not fit: {error}", "Run its training stage again") from error
    return network.eval()


def load_encoder(path: Path) -> Encoder:
    """Load the encoder of a saved unimodal model.

    Raises:
        CfnsrError: the file is not a unimodal model of cfnsr.
    """
    network = load(path)
    if not isinstance(network, Unimodal):
        raise CfnsrError(path, "is not a unimodal model", "Give one written by the pretrain stage")
    return network.encoder
