"""Multiplication: the product of the two unimodal predictions, renormalised.

    p = softmax(video) * softmax(audio) / sum over classes of this product

A row of the results table of Fu et al., "A cross-modal fusion network based on self-attention and residual structure
for multimodal emotion recognition", arXiv:2111.02172 (2021), which gives it no equation. It is the product rule of
Kittler et al., "On combining classifiers", IEEE PAMI 20 (1998), with equal prior probabilities of the classes.

Options: none. No departure.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cfnsr.models.layers import LateFusion
from cfnsr.models.publication import Publication


def combine(
    first: Float[Tensor, "batch classes"], second: Float[Tensor, "batch classes"]
) -> Float[Tensor, "batch classes"]:
    """Multiply two distributions, given and returned as log-probabilities."""
    # If each class had probability 0 in one of the two, the product would be 0 everywhere, and its log-softmax NaN.
    floor = torch.finfo(torch.float32).min / 4
    return (first.clamp(min=floor) + second.clamp(min=floor)).log_softmax(dim=1)


class Fusion(LateFusion):
    """Product of two predictions; trains nothing."""

    publication = Publication(fusion="decision", paper="2111.02172", accuracy=70.56, parameters=25.92)
    trains = False

    def combine(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Combine the log-probabilities of both modalities."""
        return combine(video, audio)
