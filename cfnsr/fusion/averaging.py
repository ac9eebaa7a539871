"""Averaging: the mean of the two unimodal predictions.

    p = (softmax(video) + softmax(audio)) / 2

A row of the results table of Fu et al., "A cross-modal fusion network based on self-attention and residual structure
for multimodal emotion recognition", arXiv:2111.02172 (2021), which gives it no equation.

Options: none.

No departure.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.about import About
from cfnsr.batch import Prediction
from cfnsr.encoders import Encoder


class Fusion(nn.Module):
    """Nothing to train: the encoders' own training is all there is.

    Args:
        video, audio: the two encoders, heads included.
        classes: how many emotions; the heads know already.
    """

    about = About(fusion="decision", paper="2111.02172", accuracy=68.82, parameters=25.92)
    trains = False
    features: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int) -> None:
        super().__init__()
        self.video, self.audio = video, audio

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """The mean, and the two that it is the mean of."""
        video = self.video(frames).log_softmax(dim=1, dtype=torch.float32)
        audio = self.audio(mfcc).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(self.combine(video, audio), video, audio)

    @staticmethod
    def combine(
        video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Log of the mean of two distributions, given and returned as log-probabilities."""
        return torch.stack([video, audio]).logsumexp(dim=0) - math.log(2)
