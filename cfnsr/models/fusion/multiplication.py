"""Multiplication: the product of the two unimodal predictions, brought back to a sum of one.

    p = softmax(video) * softmax(audio) / sum over classes of the same

A row of the results table of Fu et al., "A cross-modal fusion network based on self-attention and residual structure
for multimodal emotion recognition", arXiv:2111.02172 (2021), which gives it no equation. The rule of the product of
Kittler et al., "On combining classifiers", IEEE PAMI 20 (1998), for classes that are equally likely beforehand.

Options: none.

No departure.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cfnsr.models.layers import LateFusion
from cfnsr.models.publication import Publication


class Fusion(LateFusion):
    """Nothing to train: the encoders' own training is all there is."""

    publication = Publication(fusion="decision", paper="2111.02172", accuracy=70.56, parameters=25.92)
    trains = False

    def combine(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Log of the product of two distributions, given and returned as log-probabilities."""
        # A probability that has underflowed to 0 in both would leave no class at all.
        floor = torch.finfo(torch.float32).min / 4
        return (video.clamp(min=floor) + audio.clamp(min=floor)).log_softmax(dim=1)
