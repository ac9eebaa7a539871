"""MMTM: at three depths, what both modalities see together opens and closes the channels of each.

    z = relu(W [mean(V), mean(A)])                       means over all places; W: c_v + c_a -> 2 (c_v + c_a) / ratio
    V' = factor * sigmoid(W_v z) * V
    A' = factor * sigmoid(W_a z) * A                     channel by channel
    logits = (head_video(V) + head_audio(A)) / 2

Joze, Shaban, Iuzzolino and Koishida, "MMTM: Multimodal Transfer Module for CNN Fusion", arXiv:1911.08670 (CVPR 2020),
equations 1 to 6.

Options, with the published values: ``ratio`` 4; ``factor`` 1, as in the released code, where the paper's equation 6 has
2.

Where ours departs: where the two networks meet in the table's row is not on record. After layer2 and conv1, layer3 and
conv2, layer4 and conv3 makes 31,793,264 weights at the published scale, within 0.6 % of its 31.97 million.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.layers import IntermediateFusion
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction

_SITES = (("layer2", "conv1"), ("layer3", "conv2"), ("layer4", "conv3"))


class Fusion(IntermediateFusion):
    """Both encoders with their heads, and a gate between them at each site.

    Args:
        video, audio: the two encoders.
        classes: how many emotions; the heads know already.
        ratio: by how much the joint representation is narrower than both modalities' channels, times two.
        factor: on the gates; with 1 they only close, with 2 they open as well.

    Raises:
        CfnsrError: the ratio leaves nothing of the joint representation.
    """

    publication = Publication(
        fusion="intermediate",
        paper="1911.08670",
        accuracy=73.12,
        parameters=31.97,
        reconstructed="where the two networks meet, from the parameter count",
    )
    trains = True
    modality_modules: ClassVar = {
        "video": ("video.0", "video.1", "video.2"),
        "audio": ("audio.0", "audio.1", "audio.2"),
    }

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, ratio: int, factor: float) -> None:
        gates = [
            Gate(video.channels[face], audio.channels[voice], ratio=ratio, factor=factor) for face, voice in _SITES
        ]
        super().__init__(video, audio, _SITES, gates)

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """The mean of both heads' logits, and each head's own."""
        logits = self.logits(frames, mfcc)
        fused = logits.mean(dim=0).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(fused, *logits.log_softmax(dim=2, dtype=torch.float32))


class Gate(nn.Module):
    """One site.

    Args:
        face, voice: channels of each modality there.
        ratio, factor: see ``Fusion``.
    """

    def __init__(self, face: int, voice: int, *, ratio: int, factor: float) -> None:
        super().__init__()
        joint = 2 * (face + voice) // ratio
        if joint < 1:
            raise CfnsrError("systems.mmtm.options.ratio", f"{ratio} leaves no joint channel", "Give a smaller one")
        self.joint = nn.Linear(face + voice, joint)
        self.video, self.audio = nn.Linear(joint, face), nn.Linear(joint, voice)
        self.factor = factor

    def forward(
        self,
        face: Float[Tensor, "batch face time height width"],
        voice: Float[Tensor, "batch voice token"],
    ) -> tuple[Float[Tensor, "batch face time height width"], Float[Tensor, "batch voice token"]]:
        """Both modalities' features, each channel weighted."""
        joint = self.joint(torch.cat([face.mean(dim=(2, 3, 4)), voice.mean(dim=2)], dim=1)).relu()
        video, audio = (self.factor * gate(joint).sigmoid() for gate in (self.video, self.audio))
        return face * video[:, :, None, None, None], voice * audio[:, :, None]
