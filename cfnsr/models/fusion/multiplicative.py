"""Multiplicative combination: a modality is listened to where the other one does not know.

    q_video = (1 - p_audio)^beta        q_audio = (1 - p_video)^beta        class by class
    fused   = log_softmax(q_video * log p_video + q_audio * log p_audio)
    loss    = -(q_video * log p_video + q_audio * log p_audio) at the true class

Liu, Li, Xu and Natarajan, "Learn to Combine Modalities in Multimodal Deep Learning", arXiv:1805.11730 (2018), section
3: the exponent is beta / (M - 1), and two modalities make M - 1 = 1. **Trains on the loss above**, not on the fused
prediction's negative log-likelihood. No gradient goes through q.

Options, with the published value: ``beta`` 0.3. With 0 it is the product of both predictions.

No departure. Probabilities are clamped before their logarithm.
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

_LEAST = math.log(1e-12)  # log of the least probability


class Fusion(LateFusion):
    """Two encoders trained on, together, by what each is responsible for; no weights of its own.

    Args:
        video, audio: the two encoders, heads included.
        classes: how many emotions; the heads know already.
        beta: how much a modality that knows silences the other; 0 not at all.

    Raises:
        CfnsrError: beta is negative or no number.
    """

    publication = Publication(fusion="decision", paper="1805.11730", accuracy=70.35, parameters=25.92)
    trains = True

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, beta: float) -> None:
        if not 0 <= beta < math.inf:
            raise CfnsrError("systems.multiplicative.options.beta", f"{beta} is not 0 or more", "Give such a number")
        super().__init__(video, audio, classes)
        self.beta = beta

    def combine(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        """Log-probabilities of both, from those of each."""
        return self._scores(video, audio).log_softmax(dim=1)

    def scores(self, prediction: Prediction) -> Float[Tensor, "batch classes"]:
        """Of each class; training raises the true one's."""
        assert prediction.video is not None and prediction.audio is not None
        return self._scores(prediction.video, prediction.audio)

    def _scores(
        self, video: Float[Tensor, "batch classes"], audio: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        video, audio = video.clamp(min=_LEAST), audio.clamp(min=_LEAST)
        # 1 - p, exact where p is near 1; never 0, whose power has an infinite slope and 0 * log 0 no value.
        unsure = [(-torch.expm1(one)).clamp(min=1e-12).detach() ** self.beta for one in (audio, video)]
        return unsure[0] * video + unsure[1] * audio
