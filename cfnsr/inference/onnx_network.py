"""Predict with a network that ``cfnsr export`` wrote as ONNX; onnxruntime computes, not torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from cfnsr.data.shards import ARRAYS
from cfnsr.errors import CfnsrError
from cfnsr.inference.card import Card
from cfnsr.models.spec import ModelSpec
from cfnsr.runtime.model_folder import missing_package

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

EXTRA = "onnx"  # extra of this package with what export and this module need
# Keys of the file's metadata, and the result that every network has.
SPEC_KEY, CARD_KEY, VERSION_KEY, FUSED = "cfnsr", "cfnsr_card", "cfnsr_version", "log_probabilities"
_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
_ERRORS_ONLY = 3  # onnxruntime's level of messages
_SPREAD = 20.0  # standard deviation of random sound arrays, in dB
_REMEDY = "Give a file written by `cfnsr export`"

LogProbabilities = Float32[np.ndarray, "clip classes"]


class OnnxNetwork:
    """A network in an ONNX file, on the CPU.

    Args:
        path: a file written by ``cfnsr export``. It may come from anyone: onnxruntime runs no code from it.
        threads: number for each operation; 0 lets onnxruntime choose.

    Attributes:
        spec: the network's description.
        card: what it was trained on, and how accurate it is; only a name in files of older versions.
        inputs: type of the values of each array that it reads, by the array's name.
        outputs: names of its results.

    Raises:
        CfnsrError: onnxruntime is missing, or the file is damaged or not a network of cfnsr.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self._path = path
        self._session = _open(path, threads)
        metadata = self._session.get_modelmeta().custom_metadata_map
        if SPEC_KEY not in metadata:
            raise CfnsrError(path, "is ONNX, but not a network of cfnsr", _REMEDY)
        self.spec = ModelSpec.from_json(metadata[SPEC_KEY], path)
        self.card = _card(metadata[CARD_KEY], path) if CARD_KEY in metadata else Card(path.stem)
        self.inputs: dict[str, type[np.generic]] = {}
        for node in self._session.get_inputs():
            if node.type not in _TYPES or node.shape[1:] != self.spec.inputs.get(node.name):
                problem = f"its input {node.name} is {node.type} {node.shape}, which its description does not name"
                raise CfnsrError(path, problem, _REMEDY)
            self.inputs[node.name] = _TYPES[node.type]
        results = {node.name: node.shape for node in self._session.get_outputs()}
        if results.get(FUSED, [])[1:] != [len(self.spec.labels)]:
            raise CfnsrError(path, f"has no {FUSED} of {len(self.spec.labels)} emotions", _REMEDY)
        self.outputs = list(results)

    def log_probabilities(self, arrays: dict[str, np.ndarray]) -> LogProbabilities:
        """Predict clips; see ``predict``.

        Args:
            arrays: by name, as they are stored in the shards, first dimension clips; others are ignored.

        Raises:
            CfnsrError: an array is missing, or of another type or shape than the network was trained on.
        """
        return self.predict(arrays)[FUSED]

    def predict(self, arrays: dict[str, np.ndarray]) -> dict[str, LogProbabilities]:
        """Return all results by name; some networks also predict from video and from audio alone.

        Args:
            arrays: see ``log_probabilities``.

        Raises:
            CfnsrError: see ``log_probabilities``.
        """
        clips = self._clips(arrays)
        if not clips:
            return {name: np.empty((0, len(self.spec.labels)), np.float32) for name in self.outputs}
        try:
            results = self._session.run(self.outputs, {name: arrays[name] for name in self.inputs})
        except Exception as error:  # onnxruntime's errors share no class
            raise CfnsrError(self._path, f"cannot predict ({error})", _REMEDY) from error
        return dict(zip(self.outputs, map(np.asarray, results), strict=True))

    def _clips(self, arrays: dict[str, np.ndarray]) -> int:
        """Check the arrays, and count the clips."""
        counts: set[int] = set()
        for name, dtype in self.inputs.items():
            expected = tuple(self.spec.inputs[name])
            if name not in arrays:
                raise CfnsrError(self._path, f"needs the array {name}", "Prepare the clips with it")
            array = arrays[name]
            if array.dtype != dtype or array.shape[1:] != expected:
                problem = f"{name} is {array.dtype} {array.shape[1:]} a clip, not {np.dtype(dtype)} {expected}"
                raise CfnsrError(self._path, problem, "Prepare the clips as its description says")
            counts.add(len(array))
        if len(counts) != 1:
            raise CfnsrError(self._path, f"the arrays have {sorted(counts)} clips", "Give the same number in each")
        return counts.pop()


def _open(path: Path, threads: int) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_package(error, str(path), EXTRA) from error
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    try:
        # Opened by its path, so that onnxruntime reads external data only from its folder.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class
        raise CfnsrError(path, f"cannot be read as ONNX ({error})", _REMEDY) from error


def _card(text: str, path: Path) -> Card:
    try:
        return Card.from_json(text, path)
    except CfnsrError as error:
        raise CfnsrError(path, error.problem, _REMEDY) from error


def example_arrays(spec: ModelSpec, names: list[str], clips: int) -> dict[str, np.ndarray]:
    """Return random arrays of a few clips, the same on every call.

    Args:
        spec: has the shape of each array.
        names: of the arrays.
        clips: how many.
    """
    generator = np.random.default_rng(clips)
    arrays: dict[str, np.ndarray] = {}
    for name in names:
        shape = (clips, *spec.inputs[name])
        if name in ARRAYS and ARRAYS[name].dtype == np.uint8:
            arrays[name] = generator.integers(0, 256, shape, dtype=np.uint8)
        else:
            arrays[name] = (_SPREAD * generator.standard_normal(shape)).astype(np.float32)
    return arrays
