"""Multiplication: the product of the two unimodal predictions, brought back to a sum of one.

    p = softmax(video) * softmax(audio) / sum over classes of the same

A row of the results table of Fu et al., "A cross-modal fusion network based on self-attention and residual structure
for multimodal emotion recognition", arXiv:2111.02172 (2021), which gives it no equation. The rule of the product of
Kittler et al., "On combining classifiers", IEEE PAMI 20 (1998), for classes that are equally likely beforehand.

Options: none.

No departure.
"""

from __future__ import annotations

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

    about = About(fusion="decision", paper="2111.02172", accuracy=70.56, parameters=25.92)
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
        """The product, and the two that it is the product of."""
        video = self.video(frames).log_softmax(dim=1, dtype=torch.float32)
        audio = self.audio(mfcc).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(self.combine(video, audio), video, audio)

    @staticmethod
    def combine(
        video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Log of the product of two distributions, given and returned as log-probabilities."""
        # A probability that has underflowed to 0 in both would leave no class at all.
        floor = torch.finfo(torch.float32).min / 4
        return (video.clamp(min=floor) + audio.clamp(min=floor)).log_softmax(dim=1)
