"""What a network says when the face, or the voice, is taken from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cfnsr.evaluation.predict import Normalise
from cfnsr.models.types import Batch

StandIns = dict[str, Tensor]


def removable(network: nn.Module) -> list[str]:
    """The modalities that may be taken away and leave another: none where the network reads only one."""
    modalities = list(_features(network))
    return modalities if len(modalities) > 1 else []


def stand_ins(network: nn.Module, batches: Iterable[Batch], prepare: Normalise) -> StandIns:
    """What stands where a modality's features were: their mean over clips, by module.

    Where two predictions are joined, the stand-in is one that knows nothing: equal logits.

    Args:
        network: a system that reads both modalities; left in evaluation mode no longer than this takes.
        batches: the training clips, as they are.
        prepare: brings a batch to the device.
    """
    sums: StandIns = {}
    count, joins = 0, hasattr(network, "combine")

    def add(name: str) -> Any:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            # fp64: the sum over a whole corpus must not depend on how it was cut into batches.
            total = output.double().sum(dim=0)
            sums[name] = sums[name] + total if name in sums else total

        return hook

    training = network.training
    network.eval()
    with torch.inference_mode(), ExitStack() as hooks:
        for name in (name for names in _features(network).values() for name in names):
            hooks.callback(network.get_submodule(name).register_forward_hook(add(name)).remove)
        for batch in batches:
            count += len(batch.label)
            network(*prepare(batch)[:3])
            if joins:
                break  # no mean is asked for
    network.train(training)
    return {
        name: torch.zeros_like(total, dtype=torch.float32) if joins else (total / count).float()
        for name, total in sums.items()
    }


@contextmanager
def without(network: nn.Module, modality: str, instead: StandIns) -> Iterator[None]:
    """Within it, the network sees ``instead`` where the features of a modality were.

    Args:
        network: the system.
        modality: one of ``removable(network)``.
        instead: of ``stand_ins``.
    """

    def replace(stand_in: Tensor) -> Any:
        return lambda module, inputs, output: stand_in.to(output.dtype).expand_as(output).clone()

    with ExitStack() as hooks:
        for name in _features(network)[modality]:
            hooks.callback(network.get_submodule(name).register_forward_hook(replace(instead[name])).remove)
        yield


def _features(network: nn.Module) -> dict[str, tuple[str, ...]]:
    return network.modality_modules  # pyright: ignore[reportReturnType]
