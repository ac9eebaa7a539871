"""Save and load networks: one safetensors file holds the weights and the ``ModelSpec``; no params.yaml is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder, Unimodal
from cfnsr.models.spec import ModelSpec
from cfnsr.runtime import model_header, stored
from cfnsr.runtime.outputs import atomic_file

# One key: safetensors writes several in random order, and the file's bytes would differ from run to run.
_KEY = "cfnsr"
_SPARE = 1000  # parameters of parts that a system builds and does not keep


def save(path: Path, network: nn.Module, spec: ModelSpec) -> None:
    """Write a network's weights and description."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with atomic_file(path) as partial:
        spec = replace(spec, checksum=model_header.checksum(_arrays(tensors)))
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
        raise CfnsrError(path, f"cannot be read as safetensors ({error})", stored.AGAIN) from error
    if _KEY not in metadata:
        raise CfnsrError(path, "is safetensors, but not a model of cfnsr", "Give a model.safetensors written by cfnsr")
    return ModelSpec.from_json(metadata[_KEY], path)


def load(path: Path) -> nn.Module:
    """Build a saved network with its weights, in evaluation mode.

    Raises:
        CfnsrError: the file is not a model of cfnsr, or its tensors do not fit its description.
    """
    spec = read_spec(path)
    _check_tensors(path, spec)
    network, tensors = spec.build(), load_file(path)
    model_header.check_arrays(path, _arrays(tensors))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CfnsrError(path, f"tensors do not fit: {error}", stored.AGAIN) from error
    return network.eval()


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Return the bytes of tensors, some of whose types numpy does not have."""
    return {name: tensor.reshape(-1).view(torch.uint8).numpy() for name, tensor in tensors.items()}


def _check_tensors(path: Path, spec: ModelSpec) -> None:
    """Compare names and shapes with the description, before memory is taken for either; a file may come from anyone."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - it is no dict
    with torch.device("meta"), _at_most(len(tensors) + _SPARE, path):
        expected = {name: list(tensor.shape) for name, tensor in spec.build().state_dict().items()}
    different = [
        f"{name} is {tensors.get(name, 'missing')}, not {expected.get(name, 'expected')}"
        for name in sorted(tensors.keys() | expected.keys())
        if tensors.get(name) != expected.get(name)
    ]
    if different:
        more = f" and {len(different) - 1} more" if different[1:] else ""
        raise CfnsrError(path, f"tensors do not fit: {different[0]}{more}", stored.AGAIN)


@contextmanager
def _at_most(parameters: int, path: Path) -> Iterator[None]:
    """Stop the building of a network that has more parameters than its file has tensors."""
    numbers = count(1)

    def stop(*_: Any) -> None:
        if next(numbers) > parameters:
            problem = "tensors do not fit: its description is of a network with more of them"
            raise CfnsrError(path, problem, stored.AGAIN)

    hook = register_module_parameter_registration_hook(stop)
    try:
        yield
    finally:
        hook.remove()


def load_encoder(path: Path) -> Encoder:
    """Load the encoder of a saved unimodal model.

    Raises:
        CfnsrError: the file is not a unimodal model of cfnsr.
    """
    network = load(path)
    if not isinstance(network, Unimodal):
        raise CfnsrError(path, "is not a unimodal model", "Give one written by the pretrain stage")
    return network.encoder
