"""ERANNs: a residual network on the log-mel spectrogram. **It hears, and does not look.**

    5 stages of blocks, 8W, 16W, 32W, 64W and 128W channels; logits = W_2 lrelu(W_1 (mean + max over all places))
    block: x -> conv(lrelu(BN(conv(lrelu(BN(x)))))) + shortcut(x)

Verbitskiy, Berikov and Vyshegorodtsev, "ERANNs: Efficient Residual Audio Neural Networks for Audio Pattern
Recognition", arXiv:2106.01621 (2021). A row of the published table beside audiovisual systems.

Options, with the published values: ``width`` 4, the W above; ``depth`` 4 blocks a stage; ``long_strides`` 0, the number
of stages, of the second to the fourth, that stride by 4 in time instead of 2; ``slope`` 0.01 of the leaky ReLU.

Where ours departs: **a reconstruction from secondary sources**; 24,021,322 weights at the published scale, where no
count is on record. It reads the log-mel of ``extract.audio`` (128 bands at 44.1 kHz), and starts from no unimodal
model.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction

_STAGES = 5
_MAY_BE_LONG = 3  # of these: the second to the fourth
_LONG = 4  # such a stage's stride in time


class Fusion(nn.Module):
    """The log-mel alone; neither encoder is used.

    Args:
        video, audio: not used.
        classes: how many emotions.
        width: eighth of the first stage's channels; each stage has twice those of the one before.
        depth: blocks a stage.
        long_strides: how many stages, from the second on, stride by 4 in time.
        slope: of the leaky ReLU below zero.

    Raises:
        CfnsrError: there are not so many stages that may stride by 4, or no blocks.
    """

    publication = Publication(
        fusion="none", paper="2106.01621", accuracy=74.80, reconstructed="the whole network, from secondary sources"
    )
    trains = True
    modality_modules: ClassVar = {"audio": ("stages",)}

    def __init__(
        self,
        video: Encoder,
        audio: Encoder,
        classes: int,
        *,
        width: int,
        depth: int,
        long_strides: int,
        slope: float,
    ) -> None:
        super().__init__()
        if not 0 <= long_strides <= _MAY_BE_LONG:
            raise CfnsrError(
                "systems.eranns.options.long_strides", f"{long_strides} is not 0 to {_MAY_BE_LONG}", "Give one of them"
            )
        if depth < 1:
            raise CfnsrError("systems.eranns.options.depth", f"{depth} blocks make no stage", "Give 1 or more")
        channels = [1, *(width * 2 ** (3 + number) for number in range(_STAGES))]
        strides = [(1, 1), *((2, _LONG if number < long_strides else 2) for number in range(_MAY_BE_LONG)), (2, 2)]
        self.stages = nn.Sequential(
            OrderedDict(
                (f"stage{number + 1}", _stage(channels[number], channels[number + 1], depth, strides[number], slope))
                for number in range(_STAGES)
            )
        )
        last = channels[-1]
        self.classifier = nn.Sequential(
            OrderedDict(hidden=nn.Linear(last, last), relu=nn.LeakyReLU(slope), linear=nn.Linear(last, classes))
        )

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """The voice's prediction, as the whole's."""
        heard = self.stages(mel[:, None])
        return Prediction(
            self.classifier(heard.mean(dim=(2, 3)) + heard.amax(dim=(2, 3))).log_softmax(dim=1, dtype=torch.float32)
        )


class Block(nn.Module):
    """Two convolutions, each after normalisation and leaky ReLU, beside a shortcut that is plain where the shape stays.

    Args:
        incoming, outgoing: channels.
        stride: of the first convolution, in frequency and time.
        slope: of the leaky ReLU.
    """

    def __init__(self, incoming: int, outgoing: int, *, stride: tuple[int, int], slope: float) -> None:
        super().__init__()
        # So long a stride in time would pass over steps that a kernel of 3 does not cover.
        first, second = (6, 5) if stride[1] == _LONG else (3, 3)
        self.norm1, self.norm2 = nn.BatchNorm2d(incoming), nn.BatchNorm2d(outgoing)
        self.conv1 = nn.Conv2d(incoming, outgoing, (3, first), stride=stride, padding=(1, (first - 1) // 2), bias=False)
        self.conv2 = nn.Conv2d(outgoing, outgoing, (3, second), padding=(1, second // 2), bias=False)
        self.relu = nn.LeakyReLU(slope)
        self.shortcut = nn.Sequential()
        if stride != (1, 1) or incoming != outgoing:
            self.shortcut.add_module("conv", nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False))

    def forward(self, inputs: Float[Tensor, "batch incoming frequency step"]) -> Float[Tensor, "batch outgoing _ _"]:
        """One residual step."""
        if self.conv1.stride[1] == _LONG:
            # Else convolution and shortcut would disagree on the length of an odd rest.
            inputs = F.pad(inputs, (0, -inputs.shape[3] % _LONG))
        inner = self.conv1(self.relu(self.norm1(inputs)))
        shortcut = self.shortcut(inputs)
        inner = self.conv2(self.relu(self.norm2(inner)))
        return inner + shortcut


def _stage(incoming: int, outgoing: int, depth: int, stride: tuple[int, int], slope: float) -> nn.Sequential:
    rest = (Block(outgoing, outgoing, stride=(1, 1), slope=slope) for _ in range(depth - 1))
    return nn.Sequential(Block(incoming, outgoing, stride=stride, slope=slope), *rest)
