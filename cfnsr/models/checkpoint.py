"""A network <-> one safetensors file that says how to build it again; no params.yaml is needed to load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders, fusion
from cfnsr.runtime.outputs import atomic_file

# One key: safetensors orders several by chance, and the file's bytes would differ from run to run.
_KEY = "cfnsr"
MODALITIES = ("video", "audio")
_WANTED = frozenset({"name", "labels", "encoders", "options", "fold", "pixels", "preprocessing", "imported"})

Specification = dict[str, Any]


def build(specification: Specification, trained: dict[str, encoders.Encoder] | None = None) -> nn.Module:
    """A new network with random weights, or on top of trained encoders.

    Args:
        specification: ``name`` (``video``, ``audio`` or a system's), ``labels``, ``encoders`` (each modality's
            options) and ``options`` (the system's own).
        trained: encoders by modality, instead of new ones.
    """
    classes = len(specification["labels"])
    parts = trained or {
        name: encoders.build(name, classes, **options) for name, options in specification["encoders"].items()
    }
    name = specification["name"]
    if name in MODALITIES:
        return encoders.Unimodal(parts[name], name)
    return fusion.build(name, parts["video"], parts["audio"], classes, **specification["options"])


def save(path: Path, network: nn.Module, specification: Specification) -> None:
    """Write weights and specification; whatever else the specification holds travels with them."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with atomic_file(path) as partial:
        save_file(tensors, partial, metadata={_KEY: json.dumps(specification, sort_keys=True)})


def specification(path: Path) -> Specification:
    """What a saved model says of itself.

    Raises:
        CfnsrError: not a model of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CfnsrError(path, f"cannot be read as safetensors ({error})", "Run its training stage again") from error
    if _KEY not in metadata:
        raise CfnsrError(path, "is safetensors, but not a model of cfnsr", "Give a model.safetensors written by cfnsr")
    try:
        described = json.loads(metadata[_KEY])
        missing = sorted(_WANTED - set(described)) or sorted({"order"} - set(described["pixels"]))
    except (ValueError, TypeError) as error:
        raise CfnsrError(path, f"its description cannot be read ({error})", "Write it again") from error
    if missing:
        raise CfnsrError(path, f"its description lacks {', '.join(missing)}", "It is of another version")
    return described


def load(path: Path) -> nn.Module:
    """Build the network a file describes, with its weights, in evaluation mode; takes ``(frames, mel, mfcc)``.

    Raises:
        CfnsrError: not a model of ours, or its tensors do not fit its own description.
    """
    network = build(specification(path))
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise CfnsrError(path, f"tensors do not fit: {error}", "Run its training stage again") from error
    return network.eval()


def encoder(path: Path) -> encoders.Encoder:
    """The encoder inside a saved unimodal model.

    Raises:
        CfnsrError: not a unimodal model of ours.
    """
    network = load(path)
    if not isinstance(network, encoders.Unimodal):
        raise CfnsrError(path, "is not a unimodal model", "Give one written by the pretrain stage")
    return network.encoder
