"""The published checkpoints -> models of ours, and back.

What was published are state dicts of networks at one size, without a word on how they were made. Ours carry that, and
``cfnsr.models.checkpoint.load`` builds them again from the file alone.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfnsr.corpora.filenames import LABELS
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint
from cfnsr.models.checkpoint import Specification
from cfnsr.models.published.names import SYSTEMS, Part, parts
from cfnsr.runtime.outputs import atomic_file

__all__ = ["SYSTEMS", "export", "read"]

_VIDEO = {"layers": [3, 4, 6, 3], "width": 64, "cardinality": 32}
_AUDIO = {"coefficients": 13, "steps": 212, "dropout": 0.2, "head_dropout": 0.4}
_OPTIONS: dict[str, dict[str, Any]] = {
    "video": {},
    "audio": {},
    "msaf": {"widths": [16, 32], "reduction": 4, "block_dropout": 0.2},
    "cfnsr": {
        "residual": True,
        "self_attention": True,
        "cross_modal": True,
        "attention_layers": 5,
        "heads": 8,
        "feed_forward": 256,
        "attention_dropout": 0.1,
        "position_dropout": 0.3,
        "audio_dropout": 0.4,
    },
}
# Published frames are BGR, but normalised by the statistics of RGB in their order; the weights have learned from that.
_PIXELS = {
    "mean": [114.7748, 107.7354, 99.475],
    "deviation": [38.7568578, 37.88248729, 40.02898126],
    "order": "bgr",
}
_PREPROCESSING = {
    "extract": {
        "video": {"frames": 30, "side_px": 224},
        "audio": {"rate_hz": 44100, "offset_s": 0.5, "window_s": 2.45, "coefficients": 13},
    }
}
# Counters may be missing; constants of the published code are no weights.
_COUNTER = "num_batches_tracked"
_CONSTANTS = ("version", "_float_tensor")


def specification(system: str, fold: str, file: Path) -> Specification:
    """What a published network is, in our terms.

    Args:
        system: one of ``SYSTEMS``.
        fold: whose test speakers the file has not learned from, as its user says.
        file: the published file; its name and sha256 are the model's provenance.
    """
    return {
        "name": system,
        "labels": list(LABELS),
        "encoders": _encoders(system),
        "options": _OPTIONS[system],
        "fold": fold,
        "pixels": _PIXELS,
        "preprocessing": _PREPROCESSING,
        "imported": [
            {
                "file": re.sub(r"[^\w.-]", "_", file.name),  # it will stand on a page
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            }
        ],
    }


def read(system: str, fold: str, file: Path) -> tuple[nn.Module, Specification]:
    """A published state dict as our network, in evaluation mode.

    Args:
        system: one of ``SYSTEMS``.
        fold: see ``specification``.
        file: a state dict, or a dictionary that has one as ``state_dict``; names may start with ``module.``. Only
            tensors are unpickled, never code.

    Raises:
        CfnsrError: the file cannot be read so, or tensors are missing, extra or of another shape; it names them.
    """
    given = _tensors(file)
    described = specification(system, fold, file)
    with torch.device("meta"):
        network = checkpoint.build(described)
    ours = network.state_dict()
    layout = {name: _parts(described, name, tensor) for name, tensor in ours.items()}
    shapes = {part.name: _within(ours[name], part).shape for name, there in layout.items() for part in there}
    _compare(file, system, given, shapes)
    state = {
        name: torch.cat([given[part.name] for part in there])
        if len(there) > 1
        else given.get(there[0].name, torch.tensor(0))  # a counter that is missing
        for name, there in layout.items()
    }
    network = checkpoint.build(described)
    network.load_state_dict(state)
    return network.eval(), described


def export(model: Path, out: Path) -> str:
    """Write one of our models as the published code's state dict, counters included; returns the system's name.

    Args:
        model: a ``model.safetensors`` of one of ``SYSTEMS``.
        out: the ``.pth``.

    Raises:
        CfnsrError: no network was published of the model's system, or not with its sizes and options.
    """
    described = checkpoint.specification(model)
    system = described["name"]
    if system not in SYSTEMS:
        raise CfnsrError(model, f"is a model of {system}", f"Published are checkpoints of {', '.join(SYSTEMS)}")
    published = {
        "encoders": _encoders(system),
        "options": _OPTIONS[system],
        "labels": list(LABELS),
        "pixels": _PIXELS,
        "preprocessing": _PREPROCESSING,
    }
    differs = [f"{where} is {ours}, not {wanted}" for where, ours, wanted in _differences(described, published)]
    if differs:
        raise CfnsrError(model, f"is not the published {system}: {'; '.join(differs)}", "Train it with those values")
    state = {
        part.name: _within(tensor, part).clone()
        for name, tensor in checkpoint.load(model).state_dict().items()
        for part in _parts(described, name, tensor)
    }
    # By the open file: a name would go into the archive, and the bytes would differ from time to time.
    with atomic_file(out) as partial, partial.open("wb") as file:
        torch.save(state, file)
    return system


def _differences(ours: dict[str, Any], published: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where a model differs from the published network, dropout aside: that is training's, and leaves no trace."""
    for key, value in published.items():
        if isinstance(value, dict):
            yield from _differences(ours.get(key, {}), value, f"{path}{key}.")
        elif ours.get(key) != value and "dropout" not in key:
            yield f"{path}{key}", ours.get(key), value


def _encoders(system: str) -> dict[str, dict[str, Any]]:
    # Published without the stem's ReLU where networks are fused, a defect that their weights have learned to live with.
    both = {"video": {**_VIDEO, "stem_relu": system == "video"}, "audio": _AUDIO}
    return {system: both[system]} if system in both else both


def _parts(described: Specification, name: str, tensor: Tensor) -> list[Part]:
    return parts(described["name"], name, tensor, described["options"].get("widths", []))


def _within(tensor: Tensor, part: Part) -> Tensor:
    return tensor[part.rows] if tensor.ndim else tensor


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings(action="ignore"):
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile file makes the unpickler raise has no end
        # Not torch's own words: they tell how to run the file's code.
        raise CfnsrError(
            file,
            f"cannot be read as tensors alone ({type(error).__name__}); nothing in it was run",
            "Give a state dict written by torch.save",
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise CfnsrError(file, "holds no state dict: names and tensors", "Give a file written by torch.save")
    kept = {name: tensor for name, tensor in loaded.items() if name.rpartition(".")[2] not in _CONSTANTS}
    plain = {name.removeprefix("module."): tensor for name, tensor in kept.items()}
    if len(plain) != len(kept):
        raise CfnsrError(file, "names a tensor twice, with `module.` and without", "Give one of both")
    return plain


def _compare(file: Path, system: str, given: dict[str, Tensor], expected: dict[str, torch.Size]) -> None:
    missing = [name for name in expected if name not in given and not name.endswith(_COUNTER)]
    extra = [name for name in given if name not in expected]
    misshapen = [
        f"{name} {list(given[name].shape)}, not {list(shape)}"
        for name, shape in expected.items()
        if name in given and given[name].shape != shape
    ]
    unfit = [name for name, tensor in given.items() if not _fit(name, tensor)]
    faults = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (
            ("missing", missing),
            ("extra", extra),
            ("misshapen", misshapen),
            ("not finite, or no plain tensor of numbers", unfit),
        )
        if names
    ]
    if faults:
        raise CfnsrError(
            file, f"is no published checkpoint of {system}; {'; '.join(faults)}", "Check the file, and --system"
        )


def _fit(name: str, tensor: Tensor) -> bool:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return False
    if name.endswith(_COUNTER):
        return tensor.dtype == torch.int64
    plain = tensor.is_floating_point() and bool(tensor.isfinite().all())
    return plain and not (name.endswith("running_var") and bool((tensor < 0).any()))


def _some(names: list[str]) -> str:
    shown = 4
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
