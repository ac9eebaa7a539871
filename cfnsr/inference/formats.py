"""The formats of exported networks, by the file's suffix: how each is written and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cfnsr import __version__
from cfnsr.inference.card import Card
from cfnsr.inference.onnx_network import CARD_KEY, EXTRA, SPEC_KEY, VERSION_KEY, OnnxNetwork
from cfnsr.models.spec import ModelSpec
from cfnsr.runtime.model_folder import missing_package

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch.export import ExportedProgram

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Traced:
    """A network as ``torch.export`` traced it.

    Attributes:
        program: takes a dictionary of arrays, and returns one of results.
        example: what it was traced with.
        outputs: names of its results.
        spec: its description, which every format keeps beside the network.
        card: what it was trained on, and how accurate it is; kept too.
    """

    program: ExportedProgram
    example: dict[str, Tensor]
    outputs: list[str]
    spec: ModelSpec
    card: Card

    @property
    def metadata(self) -> dict[str, str]:
        """Return what is written beside the network."""
        return {SPEC_KEY: self.spec.to_json(), CARD_KEY: self.card.to_json(), VERSION_KEY: __version__}


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        packages: that writing and checking it need, of the extra ``onnx``.
        write: writes a file.
        read: returns the function that a file holds.
    """

    packages: tuple[str, ...]
    write: Callable[[Traced, Path], None]
    read: Callable[[Path], Callable[[Arrays], Arrays]]

    def require_packages(self, out: Path) -> None:
        """Check that the packages are installed.

        Raises:
            CfnsrError: one is missing.
        """
        try:
            for name in self.packages:
                import_module(name)
        except ImportError as error:
            raise missing_package(error, str(out), EXTRA) from error


def tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Return arrays as tensors, which share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _write_onnx(traced: Traced, path: Path) -> None:
    written: Any = torch.onnx.export(
        traced.program,
        (traced.example,),
        input_names=list(traced.example),
        output_names=traced.outputs,
        dynamo=True,
        verbose=False,
    )
    proto = written.model_proto
    _clean(proto)
    for key, value in traced.metadata.items():
        proto.metadata_props.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def _clean(proto: ModelProto) -> None:
    """Name the batch's dimension, and remove what only the exporter needs: it holds lines of code."""
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for part in (*proto.graph.input, *proto.graph.output, *proto.graph.node, *proto.graph.initializer):
        del part.metadata_props[:]


def _read_onnx(path: Path) -> Callable[[Arrays], Arrays]:
    return OnnxNetwork(path).predict


def _write_pt2(traced: Traced, path: Path) -> None:
    traced.program.example_inputs = None  # otherwise the example is saved too
    with path.open("wb") as file:
        torch.export.save(traced.program, file, extra_files=traced.metadata)


def _read_pt2(path: Path) -> Callable[[Arrays], Arrays]:
    with path.open("rb") as file:
        module = torch.export.load(file).module()
    return lambda arrays: {name: value.numpy() for name, value in module(tensors(arrays)).items()}


FORMATS = {
    ".onnx": Format(("onnx", "onnxscript", "onnxruntime"), _write_onnx, _read_onnx),
    ".pt2": Format((), _write_pt2, _read_pt2),
}
