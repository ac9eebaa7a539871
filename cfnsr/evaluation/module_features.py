"""The features that a network computes of each modality: the outputs of its ``modality_modules``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from cfnsr.evaluation.missing_modality import removable
from cfnsr.evaluation.predict import evaluation_mode
from cfnsr.evaluation.reference import MeanFeatures, Reference
from cfnsr.models.encoders import Encoder
from cfnsr.models.types import Batch


def describe(network: nn.Module, batches: Iterable[Batch]) -> Reference:
    """Describe training clips by the features that a network computes of them.

    Args:
        network: on the device of the batches.
        batches: normalised batches of the training clips.
    """
    means_of = [name for names in _modality_modules(network) for name in names] if removable(network) else []
    modules = feature_modules(network)
    sums: dict[str, Tensor] = {}
    vectors, count = [], 0
    with evaluation_mode(network), recorded(network, {*means_of, *modules}) as outputs:
        for batch in batches:
            network(batch)
            vectors.append(as_vectors(outputs, modules))
            count += len(batch)
            for name in means_of:
                # fp64: the sum over a corpus must not depend on the batch size.
                total = outputs[name].double().sum(dim=0)
                sums[name] = sums[name] + total if name in sums else total
    return Reference.of(np.concatenate(vectors), modules, _means(network, sums, count))


def feature_modules(network: nn.Module) -> list[str]:
    """Name the modules whose outputs are the features: of an encoder with its head, the stages before the head."""
    return [
        f"{name}.stages" if isinstance(network.get_submodule(name), Encoder) else name
        for names in _modality_modules(network)
        for name in names
    ]


@contextmanager
def recorded(network: nn.Module, modules: Iterable[str]) -> Iterator[Mapping[str, Tensor]]:
    """Yield the outputs of modules, by name; each pass of the network replaces them while the context lasts."""
    outputs: dict[str, Tensor] = {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            outputs[name] = output

        return hook

    with ExitStack() as hooks:
        for name in modules:
            hooks.callback(network.get_submodule(name).register_forward_hook(record(name)).remove)
        yield outputs


def as_vectors(outputs: Mapping[str, Tensor], modules: Sequence[str]) -> Float32[np.ndarray, "clip feature"]:
    """Return the features of each clip as one vector: each module's channels, averaged over time and place.

    Args:
        outputs: ``batch channel *position``, by module; see ``recorded``.
        modules: in the order of their features, ``Reference.modules``.
    """
    parts = [outputs[name].float().flatten(2).mean(2) if outputs[name].ndim > 2 else outputs[name] for name in modules]
    return torch.cat([part.float() for part in parts], dim=1).cpu().numpy()


def uniform_means(classes: int) -> MeanFeatures:
    """Return what replaces a missing prediction: equal logits, which favour no class."""
    return {name: np.zeros(classes, np.float32) for name in ("video", "audio")}


def _means(network: nn.Module, sums: Mapping[str, Tensor], count: int) -> MeanFeatures:
    """Return the mean outputs; of a network that combines two predictions, equal logits."""
    if hasattr(network, "combine"):
        return {name: np.zeros(total.shape, np.float32) for name, total in sums.items()}
    return {name: (total / count).float().cpu().numpy() for name, total in sums.items()}


def _modality_modules(network: Any) -> Iterable[tuple[str, ...]]:
    return network.modality_modules.values()
