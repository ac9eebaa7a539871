"""Predict windows with a trained network: one modality's, or an audiovisual system."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device as devices
from cfnsr.evaluation import module_features
from cfnsr.evaluation.missing_modality import replace_modality
from cfnsr.evaluation.predict import Normalise, evaluation_mode
from cfnsr.evaluation.reference import FILE as REFERENCE
from cfnsr.evaluation.reference import MeanFeatures, Reference
from cfnsr.inference import attention
from cfnsr.inference.kinds import Inputs
from cfnsr.inference.prepared_by_spec import PreparedBySpec
from cfnsr.models import checkpoint
from cfnsr.models.types import Batch


class Network(PreparedBySpec):
    """A network that torch computes; see ``Kind``.

    Args:
        path: a model in safetensors format.
        device: ``auto``, ``cpu`` or ``cuda``.
        reference: features of its training clips, for the distance and for a missing modality; None if not known.

    Raises:
        CfnsrError: it is not such a file, or its description lacks the preprocessing.
    """

    def __init__(self, path: Path, device: str, reference: Reference | None) -> None:
        self._reference = reference
        spec = checkpoint.read_spec(path)
        torch_device = devices.pick(device)
        self._network: Any = checkpoint.load(path).to(torch_device).requires_grad_(False)
        if reference is not None and not {*reference.modules} <= {name for name, _ in self._network.named_modules()}:
            problem = f"describes {', '.join(reference.modules)}, which the model does not have"
            raise CfnsrError(path.with_name(REFERENCE), problem, "It is of another model: delete it")
        self._normalise = Normalise(**spec.pixels, device=torch_device)
        super().__init__(path, spec, self._network.modality_modules, device)

    def _predict(self, arrays: Inputs, lacking: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Predict windows; the mean features of the training clips replace those of a missing modality."""
        means = self._means() if lacking else {}
        if means is None:
            return {}
        modules = () if self._reference is None else self._reference.modules
        with ExitStack() as stack:
            stack.enter_context(evaluation_mode(self._network))
            for modality in lacking:
                stack.enter_context(replace_modality(self._network, modality, means))
            outputs = stack.enter_context(module_features.recorded(self._network, modules))
            prediction = self._network(self._batch(arrays))
        results = {
            name: values.float().cpu().numpy()
            for name, values in prediction._asdict().items()
            if values is not None and name not in lacking
        }
        if modules and not lacking:
            results["vector"] = module_features.as_vectors(outputs, modules)
        return results

    def attention(self, inputs: Sequence[Inputs]) -> list[attention.Map | None]:
        """Compute attention over faces; see ``Attends``."""
        maps: list[attention.Map | None] = [None] * len(inputs)
        if "video" not in self.modalities or "frames" not in self.spec.inputs:
            return maps
        for lacking, numbers in self._by_missing(inputs):
            means = self._means() if lacking else {}
            if "video" in lacking or means is None:
                continue
            with ExitStack() as stack:
                for modality in lacking:
                    stack.enter_context(replace_modality(self._network, modality, means))
                batch = self._batch(self._stacked([inputs[number] for number in numbers]))
                module = attention.last_map(self._network.eval(), batch)
                for number, of_window in zip(numbers, attention.of_batch(self._network, batch, module), strict=True):
                    maps[number] = of_window
        return maps

    def _batch(self, arrays: Inputs) -> Batch:
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        count = len(next(iter(arrays.values())))
        return self._normalise(Batch(tensors, torch.zeros(count, dtype=torch.int64)))

    def _means(self) -> MeanFeatures | None:
        """Return the mean features that replace a missing modality's; None if not known."""
        if hasattr(self._network, "combine"):
            return module_features.uniform_means(len(self.labels))
        modules = {name for names in self._network.modality_modules.values() for name in names}
        means = {} if self._reference is None else self._reference.means
        return means if modules <= {*means} else None
