"""Attention maps: where in the face the prediction depends on the picture.

For a network whose encoder has a spatial feature map, Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from
Deep Networks via Gradient-based Localization", ICCV 2017, equations 1 and 2):

    a_k = mean over time and space of dy / dA_k  y: log-probability of the predicted emotion
    map = relu(sum over k of a_k A_k)            A_k: channel k of the last feature map

If that feature map is too coarse, the absolute gradient of y at the picture, its maximum over the three colours,
smoothed. Both maps are for the middle one of the frames that the network reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.models.types import Batch

_FRAMES = "frames"
_MIN_CELLS = 4  # cells on a side of the feature map: a coarser one hardly localises
_SMOOTHING = 16  # side of the picture, in standard deviations of the Gaussian
Map = Float32[np.ndarray, "height width"]


def last_map(network: Any, batch: Batch) -> str | None:
    """Name the module that computes the last spatial feature map of the video encoder.

    Args:
        network: in evaluation mode.
        batch: of one clip or more.

    Returns:
        The module's name; None if the feature map has fewer than four cells on a side, or the encoder has none.
    """
    maps: list[tuple[str, Tensor]] = []  # Tensor: (clip, channel, time, height, width)

    def record(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: maps.append((name, output)) if _is_map(output) else None

    hooks = [
        module.register_forward_hook(record(f"{part}.{name}".rstrip(".")))
        for part in network.modality_modules["video"]
        for name, module in network.get_submodule(part).named_modules()
    ]
    try:
        with torch.no_grad():
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    name, cells = maps[-1] if maps else ("", None)
    return name if cells is not None and min(cells.shape[3:]) >= _MIN_CELLS else None


def of_batch(network: nn.Module, batch: Batch, module: str | None) -> list[Map | None]:
    """Compute an attention map of the frames' size for each clip, 0 to 1; None if the map is 0 everywhere.

    Args:
        network: in evaluation mode; its weights need no gradient.
        batch: normalised.
        module: see ``last_map``.
    """
    if module is not None:
        maps = _at_features(network, batch, module)
    else:
        # One clip at a time: the gradient at the picture keeps every layer's output in memory.
        maps = [_at_picture(network, _single(batch, number)) for number in range(len(batch))]
    return [(attention / attention.max()).astype(np.float32) if attention.max() > 0 else None for attention in maps]


def _at_features(network: nn.Module, batch: Batch, module: str) -> list[np.ndarray]:
    with _watched(network.get_submodule(module)) as features:
        score = _score(network, batch)
    (gradient,) = torch.autograd.grad(score, features[0])
    weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
    maps = (weights * features[0].detach()).sum(dim=1, keepdim=True).relu()
    time = batch[_FRAMES].shape[2]
    maps = F.interpolate(maps.float(), batch[_FRAMES].shape[2:], mode="trilinear")[:, 0, time // 2]
    return list(maps.cpu().numpy())


def _at_picture(network: nn.Module, batch: Batch) -> np.ndarray:
    frames = batch[_FRAMES].detach().clone().requires_grad_()
    with torch.enable_grad():
        score = _score(network, batch.replace(frames=frames))
    (gradient,) = torch.autograd.grad(score, frames)
    strongest = gradient[0, :, gradient.shape[2] // 2].abs().amax(dim=0).float().cpu().numpy()
    return cv2.GaussianBlur(strongest, (0, 0), len(strongest) / _SMOOTHING)


def _score(network: nn.Module, batch: Batch) -> Tensor:
    """Return the predicted emotion's log-probability, summed over clips; clips do not affect each other."""
    with torch.enable_grad():
        return network(batch).fused.amax(dim=1).sum()


@contextmanager
def _watched(module: nn.Module) -> Iterator[list[Tensor]]:
    """Make a module's output a leaf for gradients; yield a list that has this output after a forward pass."""
    outputs: list[Tensor] = []

    def replace(_: nn.Module, inputs: object, output: Tensor) -> Tensor:
        outputs.append(output.detach().requires_grad_())
        return outputs[0].clone()  # later modules may change it in place

    hook = module.register_forward_hook(replace)
    try:
        yield outputs
    finally:
        hook.remove()


def _single(batch: Batch, number: int) -> Batch:
    arrays = {name: array[number : number + 1] for name, array in batch.arrays.items()}
    return Batch(arrays, batch.label[number : number + 1])


def _is_map(output: object) -> bool:
    return isinstance(output, Tensor) and output.ndim == 5 and min(output.shape[3:]) > 1
