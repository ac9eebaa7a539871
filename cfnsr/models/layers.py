"""What two or more systems are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.types import Prediction


class LateFusion(nn.Module):
    """Two encoders, heads included, whose predictions are joined by ``combine``, which a system defines.

    Args:
        video, audio: the two encoders.
        classes: how many emotions; the heads know already.
    """

    modality_modules: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int) -> None:
        super().__init__()
        self.video, self.audio = video, audio

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """Both predictions joined, and each alone."""
        video = self.video(frames).log_softmax(dim=1, dtype=torch.float32)
        audio = self.audio(mfcc).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(self.combine(video, audio), video, audio)

    def combine(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Log-probabilities of both, from those of each."""
        raise NotImplementedError


class IntermediateFusion(nn.Module):
    """Two encoders, heads included, that meet between their layers.

    Args:
        video, audio: the two encoders.
        sites: after which stage of the face, and which of the voice; the last ends both trunks.
        between: for each site a module that takes both features and gives both back, changed.
    """

    def __init__(
        self, video: Encoder, audio: Encoder, sites: Sequence[tuple[str, str]], between: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.video = nn.ModuleList(video.segments(*(face for face, _ in sites)))
        self.audio = nn.ModuleList(audio.segments(*(voice for _, voice in sites)))
        self.between = nn.ModuleList(between)
        self.video_head, self.audio_head = video.head, audio.head

    def logits(
        self, frames: Float[Tensor, "batch 3 time height width"], mfcc: Float[Tensor, "batch coef step"]
    ) -> Float[Tensor, "2 batch classes"]:
        """The logits of both heads, the face's first."""
        face, voice = frames, mfcc
        for video, audio, between in zip(self.video, self.audio, self.between, strict=True):
            face, voice = between(video(face), audio(voice))
        return torch.stack([self.video_head(face), self.audio_head(voice)])
