"""Concatenation: both features side by side, and two layers that read them.

    logits = W_2 dropout(relu(W_1 [mean(V), A]))        V: video features (2048, 2, 7, 7), averaged over the volume
                                                        A: audio features (64, 26), flattened
A row of the results table of Fu et al., "A cross-modal fusion network based on self-attention and residual structure
for multimodal emotion recognition", arXiv:2111.02172 (2021), which gives it no equation.

Options: ``hidden``, whose published value 256 follows from the row's parameter count; ``dropout``, of which no value
was published: 0.5 is ours.

Where ours departs: the published count of 26.87 million holds the two unimodal heads, which nothing reads. Ours leaves
them out: 26,838,952 weights at the published scale.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction


class Fusion(nn.Module):
    """The encoders without their heads, joined.

    Args:
        video, audio: the two encoders.
        classes: how many emotions.
        hidden: width between the two layers.
        dropout: between them.
    """

    publication = Publication(fusion="feature", paper="2111.02172", accuracy=71.04, parameters=26.87)
    trains = True
    modality_modules: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.video, self.audio = video.pooled, audio.pooled
        self.classifier = nn.Sequential(
            OrderedDict(
                hidden=nn.Linear(video.dim + audio.dim, hidden),
                relu=nn.ReLU(),
                dropout=nn.Dropout(dropout),
                linear=nn.Linear(hidden, classes),
            )
        )

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """One prediction of both modalities."""
        features = torch.cat([self.video(frames), self.audio(mfcc)], dim=1)
        return Prediction(self.classifier(features).log_softmax(dim=1, dtype=torch.float32))
