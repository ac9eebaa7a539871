"""Averaging: the mean of the two unimodal predictions.

    p = (softmax(video) + softmax(audio)) / 2

A row of the results table of Fu et al., "A cross-modal fusion network based on self-attention and residual structure
for multimodal emotion recognition", arXiv:2111.02172 (2021), which gives it no equation.

Options: none. No departure.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from cfnsr.models.layers import LateFusion
from cfnsr.models.publication import Publication


def combine(
    first: Float[Tensor, "batch classes"], second: Float[Tensor, "batch classes"]
) -> Float[Tensor, "batch classes"]:
    """Average two distributions, given and returned as log-probabilities."""
    return torch.stack([first, second]).logsumexp(dim=0) - math.log(2)


class Fusion(LateFusion):
    """Mean of two predictions; trains nothing."""

    publication = Publication(fusion="decision", paper="2111.02172", accuracy=68.82, parameters=25.92)
    trains = False

    def combine(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Combine the log-probabilities of both modalities."""
        return combine(video, audio)
