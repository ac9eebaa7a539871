"""Predict windows with a network that ``cfnsr export`` wrote; onnxruntime computes it, on the CPU."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from cfnsr.inference.kinds import Inputs
from cfnsr.inference.onnx_network import FUSED, OnnxNetwork, example_arrays
from cfnsr.inference.prepared_by_spec import PreparedBySpec, modality_of
from cfnsr.models.types import MODALITIES

_TOLERANCE = 1e-4  # difference of log-probabilities that counts as equal


class ExportedNetwork(PreparedBySpec):
    """A network in an ONNX file; see ``Kind``.

    The features of a missing modality cannot be replaced in such a file. Only the prediction from the other modality
    alone remains, if the network computes one that does not depend on both.

    Args:
        path: of the file, for errors.
        network: the network in the file.

    Raises:
        CfnsrError: its description lacks the preprocessing.
    """

    def __init__(self, path: Path, network: OnnxNetwork) -> None:
        self._network = network
        read = {modality_of(name) for name in network.inputs}
        super().__init__(path, network.spec, [modality for modality in MODALITIES if modality in read], "cpu")

    def _predict(self, arrays: Inputs, lacking: tuple[str, ...]) -> dict[str, np.ndarray]:
        results = self._network.predict(arrays)
        if lacking:
            return {name: results[_own(name)] for name in self._independent if name not in lacking}
        if self.spec.name in MODALITIES:
            return {"fused": results[FUSED], self.spec.name: results[FUSED]}
        own = {name: results[_own(name)] for name in self.modalities if _own(name) in results}
        return {"fused": results[FUSED], **own}

    @cached_property
    def _independent(self) -> list[str]:
        """List the modalities whose own prediction does not depend on the other's arrays, tested with random clips."""
        names = list(self._network.inputs)
        clips, others = (example_arrays(self.spec, names, count) for count in (2, 3))
        expected = self._network.predict(clips)
        independent = []
        for modality in self.modalities:
            name = _own(modality)
            mixed = {array: (clips if modality_of(array) == modality else others)[array][:2] for array in names}
            if name in expected and np.allclose(self._network.predict(mixed)[name], expected[name], atol=_TOLERANCE):
                independent.append(modality)
        return independent


def _own(modality: str) -> str:
    return f"{modality}_{FUSED}"
