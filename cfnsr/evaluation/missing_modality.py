"""Modality ablation: predict with one modality's features replaced by their training mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cfnsr.data.dataset import Clips
from cfnsr.evaluation.predict import LogProbabilities, Predictor, evaluation_mode
from cfnsr.models.types import Batch

MeanFeatures = dict[str, Tensor]  # by module of the network


def predict_without_each(predictor: Predictor, test: Clips, train: Clips) -> dict[str, LogProbabilities]:
    """Predict the test clips without each modality in turn.

    Args:
        predictor: of the network.
        test: clips to predict.
        train: clips whose mean features replace those of the missing modality.

    Returns:
        Log-probabilities by ``without_<modality>``; empty where the network reads one modality only.
    """
    modalities = removable(predictor.network)
    if not modalities:
        return {}
    means = mean_features(predictor.network, predictor.batches(train))
    predictions = {}
    for modality in modalities:
        with replace_modality(predictor.network, modality, means):
            predictions[f"without_{modality}"] = predictor.predict(test)
    return predictions


def removable(network: nn.Module) -> list[str]:
    """Return the modalities that can be removed: both, or none if the network reads only one."""
    modalities = list(_modules(network))
    return modalities if len(modalities) > 1 else []


def mean_features(network: nn.Module, batches: Iterable[Batch]) -> MeanFeatures:
    """Compute the mean of each modality's features over clips.

    For a network that combines two predictions, equal logits replace a prediction: they favour no class.

    Args:
        network: a system that reads both modalities.
        batches: normalised batches of the training clips.
    """
    sums: MeanFeatures = {}
    count, combines = 0, hasattr(network, "combine")

    def add_to(name: str) -> Any:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            # fp64: the sum over a corpus must not depend on the batch size.
            total = output.double().sum(dim=0)
            sums[name] = sums[name] + total if name in sums else total

        return hook

    with evaluation_mode(network), ExitStack() as hooks:
        for name in (name for names in _modules(network).values() for name in names):
            hooks.callback(network.get_submodule(name).register_forward_hook(add_to(name)).remove)
        for batch in batches:
            count += len(batch)
            network(batch)
            if combines:
                break  # no mean is needed, only the shape
    return {
        name: torch.zeros_like(total, dtype=torch.float32) if combines else (total / count).float()
        for name, total in sums.items()
    }


@contextmanager
def replace_modality(network: nn.Module, modality: str, means: MeanFeatures) -> Iterator[None]:
    """Replace the features of a modality while the context lasts.

    Args:
        network: the system.
        modality: one of ``removable(network)``.
        means: from ``mean_features``.
    """

    def replace_by(mean: Tensor) -> Any:
        return lambda module, inputs, output: mean.to(output.dtype).expand_as(output).clone()

    with ExitStack() as hooks:
        for name in _modules(network)[modality]:
            hooks.callback(network.get_submodule(name).register_forward_hook(replace_by(means[name])).remove)
        yield


def _modules(network: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of a network's modules whose outputs are a modality's features, by modality."""
    return network.modality_modules
