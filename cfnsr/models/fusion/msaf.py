"""MSAF: channels in blocks, and an attention over all blocks of both modalities.

    D = sum over modalities of mean over places of (sum of the modality's blocks)        blocks of one width
    z = relu(BN(W D))                                                                    W: width -> width / reduction
    a = softmax across the blocks of both modalities of (W_block z)
    block' = a_block * block
    logits = head_video(V) + head_audio(A)

Su, Hu, Li and Cao, "MSAF: Multimodal Split Attention Fusion", arXiv:2012.07175 (2020), section 3, at two sites: after
layer3 and the second convolution, and after layer4 and the third.

Options, with the published values: ``widths`` of the blocks at the two sites, 16 and 32; ``reduction`` 4;
``block_dropout`` 0.2, the share of whole blocks that training silences, the others scaled up.

Where ours departs: the published code multiplies by the mask of silenced blocks twice, so that those kept are scaled up
twice; ours does once. Evaluation is the same.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.layers import IntermediateFusion
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction

_SITES = (("layer3", "conv2"), ("layer4", "conv3"))


class Fusion(IntermediateFusion):
    """Both encoders with their heads, and an attention between them at each site.

    Args:
        video, audio: the two encoders.
        classes: how many emotions; the heads know already.
        widths: channels of a block, site by site.
        reduction: by how much the joint representation is narrower than a block.
        block_dropout: share of blocks silenced in training.

    Raises:
        CfnsrError: there are not two widths, one is narrower than the reduction, or all blocks would be silenced.
    """

    publication = Publication(fusion="intermediate", paper="2012.07175", accuracy=74.86, parameters=25.94)
    trains = True
    modality_modules: ClassVar = {"video": ("video.0", "video.1"), "audio": ("audio.0", "audio.1")}

    def __init__(
        self, video: Encoder, audio: Encoder, classes: int, *, widths: list[int], reduction: int, block_dropout: float
    ) -> None:
        if len(widths) != len(_SITES) or min(widths) < reduction:
            raise CfnsrError(
                "systems.msaf.options.widths",
                f"{widths} are not two widths of {reduction}, the reduction, or more",
                "Give one for each site",
            )
        if not 0 <= block_dropout < 1:
            raise CfnsrError("systems.msaf.options.block_dropout", f"{block_dropout} is not a share below 1", "Mend it")
        attention = [
            SplitAttention(
                [video.channels[face], audio.channels[voice]], width=width, reduction=reduction, dropout=block_dropout
            )
            for (face, voice), width in zip(_SITES, widths, strict=True)
        ]
        super().__init__(video, audio, _SITES, attention)

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """The sum of both heads' logits, and each head's own."""
        logits = self.logits(frames, mfcc)
        fused = logits.sum(dim=0).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(fused, *logits.log_softmax(dim=2, dtype=torch.float32))


class SplitAttention(nn.Module):
    """One site.

    Args:
        channels: of each modality there.
        width: channels of a block; a last block that they do not fill is filled with zeros.
        reduction: by how much the joint representation is narrower.
        dropout: share of blocks silenced in training.
    """

    def __init__(self, channels: list[int], *, width: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.width, self.dropout = width, dropout
        self.blocks = [-(-count // width) for count in channels]
        inner = width // reduction
        self.joint, self.norm = nn.Linear(width, inner), nn.BatchNorm1d(inner)
        # One matrix for what is a layer a block in the paper: the same numbers in one product.
        self.scores = nn.Linear(inner, width * sum(self.blocks))

    def forward(
        self,
        face: Float[Tensor, "batch face time height width"],
        voice: Float[Tensor, "batch voice token"],
    ) -> tuple[Float[Tensor, "batch face time height width"], Float[Tensor, "batch voice token"]]:
        """Both modalities' features, each channel weighted."""
        split = [self._silenced(self._split(part)) for part in (face, voice)]
        weights = self.weights(split[0], split[1]).split(self.blocks, dim=1)
        weighed = [part * weight[..., None] for part, weight in zip(split, weights, strict=True)]
        return tuple(  # pyright: ignore[reportReturnType]
            part.flatten(1, 2)[:, : whole.shape[1]].view(whole.shape)
            for part, whole in zip(weighed, (face, voice), strict=True)
        )

    def weights(
        self,
        face: Float[Tensor, "batch face_block width face_place"],
        voice: Float[Tensor, "batch voice_block width token"],
    ) -> Float[Tensor, "batch block width"]:
        """The attention on each channel; over the blocks of both modalities they sum to one."""
        together = sum(part.sum(dim=1).mean(dim=2) for part in (face, voice))
        joint = self.norm(self.joint(together)).relu()
        scores = self.scores(joint).view(len(joint), -1, self.width)
        return scores.softmax(dim=1, dtype=torch.float32)

    def _split(self, features: Float[Tensor, "batch channel *place"]) -> Float[Tensor, "batch block width places"]:
        flat = features.flatten(2)
        flat = F.pad(flat, (0, 0, 0, -flat.shape[1] % self.width))
        return flat.unflatten(1, (-1, self.width))

    def _silenced(self, blocks: Float[Tensor, "batch block width places"]) -> Float[Tensor, "batch block width places"]:
        kept = F.dropout(torch.ones_like(blocks[:, :, :1, :1]), self.dropout, self.training)
        return blocks * kept
