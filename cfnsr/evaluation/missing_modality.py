"""Modality ablation: predict with one modality's features replaced by their training mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cfnsr.data.dataset import Clips
from cfnsr.evaluation.predict import LogProbabilities, Predictor
from cfnsr.evaluation.reference import MeanFeatures


def predict_without_each(predictor: Predictor, test: Clips, means: MeanFeatures) -> dict[str, LogProbabilities]:
    """Predict the test clips without each modality in turn.

    Args:
        predictor: of the network.
        test: clips to predict.
        means: ``Reference.means`` of the training clips, which replace the features of the missing modality.

    Returns:
        Log-probabilities by ``without_<modality>``; empty where the network reads one modality only.
    """
    modalities = removable(predictor.network)
    if not modalities:
        return {}
    predictions = {}
    for modality in modalities:
        with replace_modality(predictor.network, modality, means):
            predictions[f"without_{modality}"] = predictor.predict(test)
    return predictions


def removable(network: nn.Module) -> list[str]:
    """Return the modalities that can be removed: both, or none if the network reads only one."""
    modalities = read_by(network)
    return modalities if len(modalities) > 1 else []


def read_by(network: nn.Module) -> list[str]:
    """Return the modalities that a network reads."""
    return list(_modules(network))


@contextmanager
def replace_modality(network: nn.Module, modality: str, means: MeanFeatures | Mapping[str, Tensor]) -> Iterator[None]:
    """Replace the features of a modality while the context lasts.

    Args:
        network: the system.
        modality: one of ``removable(network)``.
        means: ``Reference.means`` of the training clips.
    """

    def replace_by(mean: Tensor) -> Any:
        return lambda module, inputs, output: mean.to(output).expand_as(output).clone()

    with ExitStack() as hooks:
        for name in _modules(network)[modality]:
            hooks.callback(
                network.get_submodule(name).register_forward_hook(replace_by(torch.as_tensor(means[name]))).remove
            )
        yield


def _modules(network: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of a network's modules whose outputs are a modality's features, by modality."""
    return network.modality_modules
