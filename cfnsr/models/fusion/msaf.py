"""MSAF: channels are split into blocks, and attention weighs the blocks of both modalities against each other.

    D = sum over modalities of mean over positions of (sum of the modality's blocks)     blocks of one width
    z = relu(BN(W D))                                                                    W: width -> width / reduction
    a = softmax across the blocks of both modalities of (W_block z)
    block' = a_block * block
    logits = head_video(V) + head_audio(A)

Su, Hu, Li and Cao, "MSAF: Multimodal Split Attention Fusion", arXiv:2012.07175 (2020), section 3; after each
of the last two stages of both encoders (layer3 and conv2, layer4 and conv3).

Options, with the published values: ``widths`` of the blocks after the two stages, 16 and 32; ``reduction`` 4;
``block_dropout`` 0.2, the share of whole blocks that are set to zero in training, while the others are scaled up.

Where ours departs: the published code applies the mask of dropped blocks twice, which scales the others up twice; ours
applies it once. Evaluation is the same.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.layers import IntermediateFusion, last_channels
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction

_SITES = 2


class Fusion(IntermediateFusion):
    """Both encoders with their heads, and split attention after each of their last two stages.

    Args:
        widths: channels of a block, after the first of these stages and after the second.
        reduction: the joint representation has ``width / reduction`` channels.
        block_dropout: share of blocks dropped in training.

    Raises:
        CfnsrError: an option is out of range, or an encoder has too few stages.
    """

    publication = Publication(fusion="intermediate", paper="2012.07175", accuracy=74.86, parameters=25.94)
    trains = True
    modality_modules: ClassVar = {"video": ("video.0", "video.1"), "audio": ("audio.0", "audio.1")}

    def __init__(
        self, video: Encoder, audio: Encoder, classes: int, *, widths: list[int], reduction: int, block_dropout: float
    ) -> None:
        if len(widths) != _SITES or min(widths) < reduction:
            problem = f"{widths} are not {_SITES} widths of at least {reduction}, the reduction"
            raise CfnsrError("systems.msaf.options.widths", problem, "Give a width for each stage")
        if not 0 <= block_dropout < 1:
            problem = f"{block_dropout} is not in [0, 1)"
            raise CfnsrError("systems.msaf.options.block_dropout", problem, "Use a smaller number")
        sites = [
            SplitAttention(channels, width=width, reduction=reduction, dropout=block_dropout)
            for channels, width in zip(last_channels(video, audio, _SITES), widths, strict=True)
        ]
        super().__init__(video, audio, sites)

    def forward(self, batch: Batch) -> Prediction:
        """Add the logits of both heads; also return each head's own prediction."""
        logits = self.logits(batch)
        fused = logits.sum(dim=0).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(fused, *logits.log_softmax(dim=2, dtype=torch.float32))


class SplitAttention(nn.Module):
    """Attention over blocks of channels, after one stage.

    Args:
        channels: of video and audio.
        width: channels of a block; the last block is filled up with zeros.
        reduction: the joint representation has ``width / reduction`` channels.
        dropout: share of blocks dropped in training.
    """

    def __init__(self, channels: tuple[int, int], *, width: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.width, self.dropout = width, dropout
        self.blocks = [-(-count // width) for count in channels]
        inner = width // reduction
        self.joint, self.norm = nn.Linear(width, inner), nn.BatchNorm1d(inner)
        # One layer in place of the paper's one for each block: the same arithmetic in one product.
        self.scores = nn.Linear(inner, width * sum(self.blocks))

    def forward(
        self,
        video: Float[Tensor, "batch video time height width"],
        audio: Float[Tensor, "batch audio step"],
    ) -> tuple[Float[Tensor, "batch video time height width"], Float[Tensor, "batch audio step"]]:
        """Weight each channel of both modalities."""
        blocks = [self.drop_blocks(self._split(features)) for features in (video, audio)]
        weights = self.weights(*blocks).split(self.blocks, dim=1)
        weighted_video, weighted_audio = (
            (part * weight[..., None]).flatten(1, 2) for part, weight in zip(blocks, weights, strict=True)
        )
        # Cut off the zeros that filled up the last block.
        return (
            weighted_video[:, : video.shape[1]].view(video.shape),
            weighted_audio[:, : audio.shape[1]].view(audio.shape),
        )

    def weights(
        self,
        video: Float[Tensor, "batch video_block width position"],
        audio: Float[Tensor, "batch audio_block width step"],
    ) -> Float[Tensor, "batch block width"]:
        """Compute the attention on each channel of each block; it sums to one over the blocks of both modalities."""
        descriptor = video.sum(dim=1).mean(dim=2) + audio.sum(dim=1).mean(dim=2)
        joint = self.norm(self.joint(descriptor)).relu()
        scores = self.scores(joint).unflatten(1, (-1, self.width))
        return scores.softmax(dim=1, dtype=torch.float32)

    def _split(self, features: Float[Tensor, "batch channel *shape"]) -> Float[Tensor, "batch block width position"]:
        flat = features.flatten(2)
        flat = F.pad(flat, (0, 0, 0, -flat.shape[1] % self.width))
        return flat.unflatten(1, (-1, self.width))

    def drop_blocks(
        self, blocks: Float[Tensor, "batch block width position"]
    ) -> Float[Tensor, "batch block width position"]:
        """In training, set whole blocks to zero and scale the others up."""
        kept = F.dropout(torch.ones_like(blocks[:, :, :1, :1]), self.dropout, self.training)
        return blocks * kept
