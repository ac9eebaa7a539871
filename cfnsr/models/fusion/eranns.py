"""ERANNs: a residual network on the log-mel spectrogram. **It reads audio only.**

    block: x -> conv(lrelu(BN(conv(lrelu(BN(x)))))) + shortcut(x)
    5 stages of blocks with 8W, 16W, 32W, 64W and 128W channels
    logits = W_2 lrelu(W_1 (mean + max over frequency and time))

Verbitskiy, Berikov and Vyshegorodtsev, "ERANNs: Efficient Residual Audio Neural Networks for Audio Pattern
Recognition", arXiv:2106.01621 (2021). A row of the published table beside audiovisual systems.

Options, with the published values: ``width`` 4, the W above; ``depth`` 4 blocks a stage; ``long_strides`` 0, the number
of stages, from the second to the fourth, with stride 4 in time instead of 2; ``slope`` 0.01 of the leaky ReLU.

Where ours departs: **a reconstruction from secondary sources**, of 24,021,322 weights at the published scale; no count
was published. It reads the log-mel of ``extract.audio`` (128 bands at 44.1 kHz), and starts from fresh weights, not
from a unimodal model.
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
from cfnsr.models.types import Batch, Prediction

_STAGES = 5
_MAX_LONG_STRIDES = 3  # stages that may have the long stride: the second to the fourth
_LONG_STRIDE = 4  # in time


class Fusion(nn.Module):
    """A network on the log-mel; neither encoder is used.

    Args:
        width: the first stage has 8 times as many channels; each further stage doubles them.
        depth: blocks in each stage.
        long_strides: how many stages, from the second on, have stride 4 in time.
        slope: of the leaky ReLU below zero.

    Raises:
        CfnsrError: ``long_strides`` or ``depth`` is out of range.
    """

    publication = Publication(
        fusion="none", paper="2106.01621", accuracy=74.80, reconstructed="the whole network, from secondary sources"
    )
    trains = True
    modality_modules: ClassVar = {"audio": ("stages",)}

    def __init__(
        self, video: Encoder, audio: Encoder, classes: int, *, width: int, depth: int, long_strides: int, slope: float
    ) -> None:
        super().__init__()
        if not 0 <= long_strides <= _MAX_LONG_STRIDES:
            problem = f"{long_strides} is not 0 to {_MAX_LONG_STRIDES}"
            raise CfnsrError("systems.eranns.options.long_strides", problem, "Use a number in this range")
        if depth < 1:
            raise CfnsrError("systems.eranns.options.depth", f"{depth} is less than one block", "Use 1 or more")
        channels = [1, *(width * 2 ** (3 + number) for number in range(_STAGES))]
        time_strides = [_LONG_STRIDE] * long_strides + [2] * (_MAX_LONG_STRIDES - long_strides)
        strides = [(1, 1), *((2, stride) for stride in time_strides), (2, 2)]
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

    def forward(self, batch: Batch) -> Prediction:
        """Predict from the log-mel."""
        features = self.stages(batch["mel"][:, None])
        pooled = features.mean(dim=(2, 3)) + features.amax(dim=(2, 3))
        return Prediction(self.classifier(pooled).log_softmax(dim=1, dtype=torch.float32))


class Block(nn.Module):
    """Two convolutions, each after normalisation and leaky ReLU, plus a shortcut.

    The shortcut is a convolution if the shape changes, else the identity.

    Args:
        incoming, outgoing: channels.
        stride: of the first convolution, in frequency and time.
        slope: of the leaky ReLU.
    """

    def __init__(self, incoming: int, outgoing: int, *, stride: tuple[int, int], slope: float) -> None:
        super().__init__()
        # With the long stride, a kernel of 3 would leave out steps.
        first, second = (6, 5) if stride[1] == _LONG_STRIDE else (3, 3)
        self.norm1, self.norm2 = nn.BatchNorm2d(incoming), nn.BatchNorm2d(outgoing)
        self.conv1 = nn.Conv2d(incoming, outgoing, (3, first), stride=stride, padding=(1, (first - 1) // 2), bias=False)
        self.conv2 = nn.Conv2d(outgoing, outgoing, (3, second), padding=(1, second // 2), bias=False)
        self.relu = nn.LeakyReLU(slope)
        self.shortcut = nn.Sequential()
        if stride != (1, 1) or incoming != outgoing:
            self.shortcut.add_module("conv", nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False))

    def forward(self, inputs: Float[Tensor, "batch incoming frequency step"]) -> Float[Tensor, "batch outgoing _ _"]:
        """Apply the convolutions and add the shortcut."""
        if self.conv1.stride[1] == _LONG_STRIDE:
            # Otherwise convolution and shortcut would return different lengths.
            inputs = F.pad(inputs, (0, -inputs.shape[3] % _LONG_STRIDE))
        inner = self.conv1(self.relu(self.norm1(inputs)))
        shortcut = self.shortcut(inputs)
        inner = self.conv2(self.relu(self.norm2(inner)))
        return inner + shortcut


def _stage(incoming: int, outgoing: int, depth: int, stride: tuple[int, int], slope: float) -> nn.Sequential:
    rest = (Block(outgoing, outgoing, stride=(1, 1), slope=slope) for _ in range(depth - 1))
    return nn.Sequential(Block(incoming, outgoing, stride=stride, slope=slope), *rest)
