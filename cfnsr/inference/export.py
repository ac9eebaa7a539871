"""Write a trained network as one file for other runtimes, and check that the file predicts the same.

The file takes arrays as they are stored in the shards, and returns log-probabilities: the normalisation of frames is
part of it. Its metadata contain the network's ``ModelSpec`` and its card.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.evaluation.predict import Normalise
from cfnsr.inference.card import Card
from cfnsr.inference.formats import FORMATS, Arrays, Format, Traced, tensors
from cfnsr.inference.onnx_network import FUSED, example_arrays
from cfnsr.models import checkpoint, summary
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import Batch
from cfnsr.runtime.outputs import atomic_file

if TYPE_CHECKING:
    from torch.export import ExportedProgram

TOLERANCE = 1e-4
CHECKED = (1, 3)  # clips in the batches that are compared
_TRACED = 2  # clips in the example: torch takes a size of 1 for a constant


@dataclass(frozen=True)
class Exported:
    """A file that was written, and compared with the network.

    Attributes:
        spec: the network's description.
        size: of the file, in bytes.
        inputs: type of the values of each array that it reads, by the array's name.
        outputs: names of its results.
        difference: greatest difference from the network's log-probabilities, relative where these are above 1 in size.
    """

    spec: ModelSpec
    size: int
    inputs: dict[str, str]
    outputs: list[str]
    difference: float


class FromShards(nn.Module):
    """A network with the preparation of its input.

    Args:
        network: takes normalised frames.
        pixels: ``mean``, ``std`` and ``order``; see ``ModelSpec``.
    """

    def __init__(self, network: nn.Module, pixels: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.normalise = Normalise(**pixels, device=torch.get_default_device())

    def forward(self, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
        """Predict from arrays as they are stored in the shards, the clip first.

        Returns:
            ``log_probabilities``; of a network that also predicts from each modality alone,
            ``video_log_probabilities`` and ``audio_log_probabilities`` as well.
        """
        clips = next(iter(arrays.values())).shape[0]  # not len(), which makes it a constant
        prediction = self.network(self.normalise(Batch(arrays, torch.zeros(clips, dtype=torch.int64))))
        results = {FUSED: prediction.fused}
        if prediction.video is not None and prediction.audio is not None:
            results |= {f"video_{FUSED}": prediction.video, f"audio_{FUSED}": prediction.audio}
        return results


def export(model: Path, out: Path) -> Exported:
    """Write a network, and compare the file with it; a file that differs is not kept.

    Args:
        model: a ``model.safetensors`` written by cfnsr.
        out: the file to write; its suffix chooses the format: ``.onnx``, or ``.pt2`` of ``torch.export``.

    Raises:
        CfnsrError: the model cannot be read, there is no such format, a package is missing, the network cannot be
            exported, or the file predicts differently.
    """
    if out.suffix not in FORMATS:
        raise CfnsrError(
            out, f"ends neither in {' nor in '.join(FORMATS)}", "Choose the format by the ending of the file's name"
        )
    chosen = FORMATS[out.suffix]
    chosen.require_packages(out)
    spec = checkpoint.read_spec(model)
    network = FromShards(checkpoint.load(model), spec.pixels).eval()
    inputs, outputs = interface(spec)
    example = example_arrays(spec, inputs, _TRACED)
    with torch.no_grad(), atomic_file(out) as partial:
        traced = Traced(trace(network, tensors(example), model), tensors(example), outputs, spec, Card.of(model))
        _write(chosen, traced, partial, out)
        clips = [example_arrays(spec, inputs, count) for count in CHECKED]
        difference = max_difference(network, chosen.read(partial), clips)
        if not difference <= TOLERANCE:  # also true for NaN
            problem = f"its log-probabilities differ from torch's by {difference:.2g}, so it was deleted"
            raise CfnsrError(out, problem, f"At most {TOLERANCE:g} is allowed: use {model} instead")
        size = partial.stat().st_size
    return Exported(spec, size, {name: str(array.dtype) for name, array in example.items()}, outputs, difference)


def _write(chosen: Format, traced: Traced, partial: Path, out: Path) -> None:
    try:
        chosen.write(traced, partial)
    except OSError:
        raise
    except Exception as error:  # an operation that the format lacks, or more than the 2 GB that ONNX allows
        problem = f"its format cannot hold {traced.spec.name} ({_first_line(error)})"
        raise CfnsrError(out, problem, f"Try another of {', '.join(FORMATS)}") from error


@dataclass(frozen=True)
class _Recorder(Batch):
    """A batch that notes which of its arrays are read."""

    read: set[str]

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)


def interface(spec: ModelSpec) -> tuple[list[str], list[str]]:
    """List the arrays that a network reads, of those in its description, and its results; nothing is computed."""
    read: set[str] = set()
    with torch.device("meta"):
        network = FromShards(summary.build(spec), spec.pixels)
        network.network.register_forward_pre_hook(
            lambda _, inputs: (_Recorder(inputs[0].arrays, inputs[0].label, read),)
        )
        results = network({name: torch.empty(1, *shape) for name, shape in spec.inputs.items()})
    return [name for name in spec.inputs if name in read], list(results)


def trace(network: FromShards, example: dict[str, Tensor], where: Path) -> ExportedProgram:
    """Trace a network, for any number of clips.

    Args:
        network: in evaluation mode.
        example: arrays of two clips or more.
        where: the network's file, for the error.

    Raises:
        CfnsrError: the network cannot be traced.
    """
    batch = torch.export.Dim("batch")
    shapes = {"arrays": {name: {0: batch} for name in example}}
    try:
        program = torch.export.export(network, (example,), dynamic_shapes=shapes)
    except Exception as error:  # torch raises many types, and a network may do anything
        problem = f"torch.export cannot trace the network ({_first_line(error)})"
        raise CfnsrError(where, problem, "Its code may not branch on values or on the number of clips") from error
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            node.meta.pop("stack_trace", None)  # contains lines of code and the paths of their files
    return program


def max_difference(network: FromShards, read: Callable[[Arrays], Arrays], batches: list[Arrays]) -> float:
    """Return the greatest difference between a network's results and a file's, relative where they are above 1 in size.

    Args:
        network: the network.
        read: the function that the file holds.
        batches: arrays to compare on.
    """
    differences: list[float] = []
    for arrays in batches:
        actual = read(arrays)
        for name, value in network(tensors(arrays)).items():
            expected = value.numpy()
            differences.append(float((np.abs(actual[name] - expected) / np.maximum(1, np.abs(expected))).max()))
    return float(np.max(differences))  # unlike Python's max, NaN if one of them is NaN


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
