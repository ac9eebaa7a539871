"""Concatenation: both feature vectors joined into one, then two linear layers.

    logits = W_2 dropout(relu(W_1 [mean(V), A]))        V: video features (2048, 2, 7, 7), averaged over the volume
                                                        A: audio features (64, 26), flattened

A row of the results table of Fu et al., "A cross-modal fusion network based on self-attention and residual structure
for multimodal emotion recognition", arXiv:2111.02172 (2021), which gives it no equation.

Options: ``hidden``, whose published value 256 follows from the row's parameter count; ``dropout``, for which no value
was published: we use 0.5.

Where ours departs: the published count of 26.87 million includes the two unimodal heads, which are not used. Ours
leaves them out: 26,838,952 weights at the published scale.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import torch
from torch import nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction


class Fusion(nn.Module):
    """The encoders without their heads, and a classifier on both.

    Args:
        hidden: width between the two layers.
        dropout: between the two layers.
    """

    publication = Publication(fusion="feature", paper="2111.02172", accuracy=71.04, parameters=26.87)
    trains = True
    modality_modules: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.video_input, self.audio_input = video.reads, audio.reads
        self.video, self.audio = video.pooled, audio.pooled
        self.classifier = nn.Sequential(
            OrderedDict(
                hidden=nn.Linear(video.dim + audio.dim, hidden),
                relu=nn.ReLU(),
                dropout=nn.Dropout(dropout),
                linear=nn.Linear(hidden, classes),
            )
        )

    def forward(self, batch: Batch) -> Prediction:
        """Predict from both modalities together."""
        features = torch.cat([self.video(batch[self.video_input]), self.audio(batch[self.audio_input])], dim=1)
        return Prediction(self.classifier(features).log_softmax(dim=1, dtype=torch.float32))
