"""Base classes that systems share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.types import Batch, Prediction


class LateFusion(nn.Module, ABC):
    """Two encoders with their heads, whose predictions a system's ``combine`` joins.

    Args:
        video, audio: the two encoders.
        classes: number of emotions; not needed, as the heads are built.
    """

    modality_modules: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int) -> None:
        super().__init__()
        self.video, self.audio = video, audio

    def forward(self, batch: Batch) -> Prediction:
        """Predict from each modality, and combine."""
        video, audio = (
            encoder(batch[encoder.reads]).log_softmax(dim=1, dtype=torch.float32)
            for encoder in (self.video, self.audio)
        )
        return Prediction(self.combine(video, audio), video, audio)

    @abstractmethod
    def combine(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Combine the log-probabilities of both modalities."""


class IntermediateFusion(nn.Module):
    """Two encoders with their heads, joined after each of their last stages.

    Args:
        video, audio: the two encoders.
        sites: one module for each of these stages; it takes both outputs and returns both, changed.
    """

    def __init__(self, video: Encoder, audio: Encoder, sites: Sequence[nn.Module]) -> None:
        super().__init__()
        self.video_input, self.audio_input = video.reads, audio.reads
        self.video, self.audio = (nn.ModuleList(encoder.segments(*range(-len(sites), 0))) for encoder in (video, audio))
        self.sites = nn.ModuleList(sites)
        self.video_head, self.audio_head = video.head, audio.head

    def logits(self, batch: Batch) -> Float[Tensor, "2 batch classes"]:
        """Compute the logits of both heads, video first."""
        video, audio = batch[self.video_input], batch[self.audio_input]
        for video_stage, audio_stage, site in zip(self.video, self.audio, self.sites, strict=True):
            video, audio = site(video_stage(video), audio_stage(audio))
        return torch.stack([self.video_head(video), self.audio_head(audio)])


def last_channels(video: Encoder, audio: Encoder, count: int) -> list[tuple[int, int]]:
    """Return the channels of the last ``count`` stages, in order: video's and audio's.

    Raises:
        CfnsrError: an encoder has fewer stages.
    """
    for modality, encoder in (("video", video), ("audio", audio)):
        if len(encoder.channels) < count:
            problem = f"has {len(encoder.channels)} stages, and the system joins the last {count}"
            raise CfnsrError(f"encoders.{modality}", problem, "Choose another encoder, or another system")
    return list(zip(video.channels[-count:], audio.channels[-count:], strict=True))
