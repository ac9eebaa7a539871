"""Convert published checkpoints (state dicts in .pth files) into models of cfnsr, and back.

All published networks have one size and one preprocessing, which their files do not record: this module does.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfnsr.corpora.filenames import LABELS
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint
from cfnsr.models.published.names import SYSTEMS, published_parts
from cfnsr.models.spec import ModelSpec, differences
from cfnsr.runtime.checksum import sha256
from cfnsr.runtime.outputs import atomic_file

__all__ = ["SYSTEMS", "export", "read", "spec"]

_VIDEO = {"name": "resnext3d", "layers": [3, 4, 6, 3], "width": 64, "cardinality": 32}
_AUDIO = {"name": "mfcc_cnn", "dropout": 0.2, "head_dropout": 0.4}
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
# The published code takes BGR frames, but normalises them by the statistics of RGB; the weights were trained so.
_PIXELS = {
    "mean": [114.7748, 107.7354, 99.475],
    "std": [38.7568578, 37.88248729, 40.02898126],
    "order": "bgr",
}
_PREPROCESSING = {
    "extract": {
        "video": {"frames": 30, "side_px": 224},
        "audio": {"rate_hz": 44100, "offset_s": 0.5, "window_s": 2.45, "coefficients": 13},
    }
}
_INPUTS = {"frames": [30, 224, 224, 3], "mfcc": [13, 212]}
_COUNTER = "num_batches_tracked"  # of BatchNorm; a file may lack it
_CONSTANTS = ("version", "_float_tensor")  # tensors of the published code that are not weights


def spec(system: str, fold: str, file: Path) -> ModelSpec:
    """Describe a published network.

    Args:
        system: one of ``SYSTEMS``.
        fold: the fold whose test speakers it was not trained on; the user gives it.
        file: the published file; its name and sha256 are recorded.
    """
    # The published fused networks lack the stem's ReLU by mistake; their weights were trained without it.
    encoders = {"video": {**_VIDEO, "stem_relu": system == "video"}, "audio": _AUDIO}
    return ModelSpec(
        name=system,
        labels=list(LABELS),
        encoders={system: encoders[system]} if system in encoders else encoders,
        options=_OPTIONS[system],
        inputs=_INPUTS,
        protocol="imported",
        fold=fold,
        seed=0,
        pixels=_PIXELS,
        preprocessing=_PREPROCESSING,
        data="",
        imported=[
            {
                "file": re.sub(r"[^\w.-]", "_", file.name),  # the report's page shows it
                "sha256": sha256(file),
            }
        ],
    )


def read(system: str, fold: str, file: Path) -> tuple[nn.Module, ModelSpec]:
    """Read a published state dict into our network, in evaluation mode.

    Args:
        system: one of ``SYSTEMS``.
        fold: see ``spec``.
        file: a state dict, or a dictionary that has one as ``state_dict``; names may start with ``module.``. Only
            tensors are unpickled, never code.

    Raises:
        CfnsrError: the file cannot be read, or tensors are missing, extra or of another shape; it names them.
    """
    published = _read_tensors(file)
    described = spec(system, fold, file)
    with torch.device("meta"):
        ours = described.build().state_dict()
    parts = {name: _parts(described, name, tensor) for name, tensor in ours.items()}
    _check(file, system, published, {key: part.shape for group in parts.values() for key, part in group.items()})
    zero = torch.tensor(0)  # for a counter that is missing
    tensors = {name: [published.get(key, zero) for key in group] for name, group in parts.items()}
    network = described.build()
    network.load_state_dict({name: torch.cat(group) if group[1:] else group[0] for name, group in tensors.items()})
    return network.eval(), described


def export(model: Path, out: Path) -> str:
    """Write a model as the published code's state dict, counters included; return the system's name.

    Args:
        model: a ``model.safetensors`` of one of ``SYSTEMS``.
        out: the ``.pth``.

    Raises:
        CfnsrError: no network of the model's system, sizes and options was published.
    """
    described = checkpoint.read_spec(model)
    system = described.name
    if system not in SYSTEMS:
        problem = f"is a model of {system}; published are only {', '.join(SYSTEMS)}"
        raise CfnsrError(model, problem, "Give a model of one of these")
    published = asdict(spec(system, described.fold, model))
    compared = ("labels", "encoders", "options", "inputs", "pixels", "preprocessing")
    differing = [
        f"{key} is {value}, not {expected}"
        for key, expected, value in differences({key: published[key] for key in compared}, asdict(described))
        if "dropout" not in key  # only training uses it
    ]
    if differing:
        problem = f"is not the published {system}: {'; '.join(differing)}"
        raise CfnsrError(model, problem, "Train it with those values")
    state = {
        key: part.clone()
        for name, tensor in checkpoint.load(model).state_dict().items()
        for key, part in _parts(described, name, tensor).items()
    }
    # To an open file: given a path, torch.save writes its name into the archive, and the bytes would differ.
    with atomic_file(out) as partial, partial.open("wb") as file:
        torch.save(state, file)
    return system


def _parts(described: ModelSpec, name: str, tensor: Tensor) -> dict[str, Tensor]:
    return published_parts(described.name, name, tensor, described.options.get("widths", []))


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        _check_archive(file)
        with warnings.catch_warnings(action="ignore"):
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except CfnsrError:
        raise
    except Exception as error:  # a damaged or hostile file can make the unpickler raise anything
        # Without torch's message, which explains how to run the file's code.
        problem = f"cannot be read as tensors alone ({type(error).__name__}); no code in it was run"
        raise CfnsrError(file, problem, "Give a state dict written by torch.save") from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise CfnsrError(file, "is not a state dict, names and tensors", "Give a file written by torch.save")
    weights = {name: tensor for name, tensor in loaded.items() if name.rpartition(".")[2] not in _CONSTANTS}
    tensors = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    if len(tensors) != len(weights):
        raise CfnsrError(file, "contains a tensor twice, with `module.` and without", "Remove one of the two")
    return tensors


def _check_archive(file: Path) -> None:
    """Check that a ZIP archive, which torch.save writes, unpacks to no more than its own size."""
    if not zipfile.is_zipfile(file):  # of an older version of torch
        return
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > file.stat().st_size:
        problem = f"is compressed: its {file.stat().st_size:,} bytes unpack to {unpacked:,}"
        raise CfnsrError(file, problem, "Give a state dict written by torch.save")


def _check(file: Path, system: str, tensors: dict[str, Tensor], shapes: dict[str, torch.Size]) -> None:
    """Check that tensors are those of the published network, whose shapes are given by name."""
    faults = {
        "missing": [name for name in shapes if name not in tensors and not name.endswith(_COUNTER)],
        "extra": [name for name in tensors if name not in shapes],
        "of another shape": [
            f"{name} {list(tensors[name].shape)}, not {list(shape)}"
            for name, shape in shapes.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }
    if not any(faults.values()):  # of another shape, a few bytes may be a tensor that fills the memory
        faults["not finite, or not plain tensors of numbers"] = [
            name for name, tensor in tensors.items() if not _is_usable(name, tensor)
        ]
    lists = [f"{len(names)} {kind}: {_first(names)}" for kind, names in faults.items() if names]
    if lists:
        problem = f"is not a published checkpoint of {system}; {'; '.join(lists)}"
        raise CfnsrError(file, problem, "Check the file, and --system")


def _is_usable(name: str, tensor: Tensor) -> bool:
    """Return whether a tensor is dense, finite and of the right type; variances must not be negative."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return False
    if name.endswith(_COUNTER):
        return tensor.dtype == torch.int64
    finite = tensor.is_floating_point() and bool(tensor.isfinite().all())
    return finite and not (name.endswith("running_var") and bool((tensor < 0).any()))


def _first(names: list[str]) -> str:
    """Join the first four names, and count the others."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
