"""Multiplicative combination: each modality is weighted by how unsure the other one is.

    q_video = (1 - p_audio)^beta        q_audio = (1 - p_video)^beta        class by class
    fused   = log_softmax(q_video * log p_video + q_audio * log p_audio)
    loss    = -(q_video * log p_video + q_audio * log p_audio) at the true class

Liu, Li, Xu and Natarajan, "Learn to Combine Modalities in Multimodal Deep Learning", arXiv:1805.11730 (2018), section
3; the exponent there is beta / (M - 1) for M modalities. **Trains on the loss above**, not on the negative
log-likelihood of ``fused``. No gradient flows through q.

Options, with the published value: ``beta`` 0.3. With 0 it equals multiplication.

No departure. Probabilities are clamped before the logarithm.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.layers import LateFusion
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction

_LOG_FLOOR = math.log(1e-12)


class Fusion(LateFusion):
    """Two encoders trained together on a joint loss; it adds no weights to theirs.

    Args:
        beta: how much a modality that is sure reduces the other's weight; 0 not at all.

    Raises:
        CfnsrError: beta is negative, infinite or NaN.
    """

    publication = Publication(fusion="decision", paper="1805.11730", accuracy=70.35, parameters=25.92)
    trains = True

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, beta: float) -> None:
        if not 0 <= beta < math.inf:
            problem = f"{beta} is negative or not finite"
            raise CfnsrError("systems.multiplicative.options.beta", problem, "Use 0 or more")
        super().__init__(video, audio, classes)
        self.beta = beta

    def combine(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Combine the log-probabilities of both modalities."""
        return self._scores(video, audio).log_softmax(dim=1)

    def scores(self, prediction: Prediction) -> Float[Tensor, "batch classes"]:
        """Compute the score of each class; training raises the true class's."""
        assert prediction.video is not None and prediction.audio is not None
        return self._scores(prediction.video, prediction.audio)

    def _scores(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        video, audio = video.clamp(min=_LOG_FLOOR), audio.clamp(min=_LOG_FLOOR)
        # expm1 is exact where p is near 1; the clamp keeps q above 0.
        video_weight, audio_weight = (
            (-torch.expm1(other)).clamp(min=1e-12).detach() ** self.beta for other in (audio, video)
        )
        return video_weight * video + audio_weight * audio
