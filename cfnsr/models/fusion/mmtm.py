"""MMTM: at three depths, gates computed from both modalities scale the channels of each.

    z = relu(W [mean(V), mean(A)])                       means over all positions; W: c_v + c_a -> 2 (c_v + c_a) / ratio
    V' = factor * sigmoid(W_v z) * V
    A' = factor * sigmoid(W_a z) * A                     per channel
    logits = (head_video(V) + head_audio(A)) / 2

Joze, Shaban, Iuzzolino and Koishida, "MMTM: Multimodal Transfer Module for CNN Fusion", arXiv:1911.08670 (CVPR 2020),
equations 1 to 6.

Options, with the published values: ``ratio`` 4; ``factor`` 1, as in the released code, where the paper's equation 6 has
2.

Where ours departs: after which layers the row of the results table has its gates is not known. Ours are after the last
three stages of both encoders (layer2 and conv1, layer3 and conv2, layer4 and conv3): 31,793,264 weights at the
published scale, within 0.6 % of the published 31.97 million.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.layers import IntermediateFusion, last_channels
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction

_SITES = 3


class Fusion(IntermediateFusion):
    """Both encoders with their heads, and gates after each of their last three stages.

    Args:
        ratio: the joint representation has ``2 * (video + audio channels) / ratio`` channels.
        factor: on the gates; with 1 they can only reduce, with 2 increase as well.

    Raises:
        CfnsrError: the ratio leaves no joint channel, or an encoder has too few stages.
    """

    publication = Publication(
        fusion="intermediate",
        paper="1911.08670",
        accuracy=73.12,
        parameters=31.97,
        reconstructed="after which layers the gates are, from the parameter count",
    )
    trains = True
    modality_modules: ClassVar = {
        "video": ("video.0", "video.1", "video.2"),
        "audio": ("audio.0", "audio.1", "audio.2"),
    }

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, ratio: int, factor: float) -> None:
        gates = [Gate(*channels, ratio=ratio, factor=factor) for channels in last_channels(video, audio, _SITES)]
        super().__init__(video, audio, gates)

    def forward(self, batch: Batch) -> Prediction:
        """Average the logits of both heads; also return each head's own prediction."""
        logits = self.logits(batch)
        fused = logits.mean(dim=0).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(fused, *logits.log_softmax(dim=2, dtype=torch.float32))


class Gate(nn.Module):
    """Gates for both modalities after one stage.

    Args:
        video, audio: channels of each modality.
        ratio, factor: see ``Fusion``.
    """

    def __init__(self, video: int, audio: int, *, ratio: int, factor: float) -> None:
        super().__init__()
        joint = 2 * (video + audio) // ratio
        if joint < 1:
            raise CfnsrError("systems.mmtm.options.ratio", f"{ratio} leaves no joint channel", "Use a smaller number")
        self.joint = nn.Linear(video + audio, joint)
        self.video, self.audio = nn.Linear(joint, video), nn.Linear(joint, audio)
        self.factor = factor

    def forward(
        self,
        video: Float[Tensor, "batch video time height width"],
        audio: Float[Tensor, "batch audio step"],
    ) -> tuple[Float[Tensor, "batch video time height width"], Float[Tensor, "batch audio step"]]:
        """Scale each channel of both modalities."""
        joint = self.joint(torch.cat([video.mean(dim=(2, 3, 4)), audio.mean(dim=2)], dim=1)).relu()
        video_gate, audio_gate = (self.factor * gate(joint).sigmoid() for gate in (self.video, self.audio))
        return video * video_gate[:, :, None, None, None], audio * audio_gate[:, :, None]
