"""1D CNN on MFCC.

The audio half of Fu et al., "A cross-modal fusion network based on self-attention and residual structure for multimodal
emotion recognition", arXiv:2111.02172 (2021).

Published: 13 coefficients, 212 steps, dropout 0.2 and head dropout 0.4.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders
from cfnsr.models.publication import Publication

_POOL = 8  # steps that become one
_TRIMMED = 4  # steps that the first two convolutions remove, two each: kernel 7, padding 2


class Encoder(encoders.Encoder):
    """MFCC -> logits.

    The head flattens time into features, so the number of steps is part of the weights.

    Args:
        classes: number of emotions.
        shape: coefficients and steps of one clip's MFCC.
        dropout: after the second convolution.
        head_dropout: before the classifier.

    Raises:
        CfnsrError: the clip has too few steps.
    """

    reads = "mfcc"
    publication = Publication(fusion="none", paper="2111.02172", accuracy=56.53, parameters=0.03)

    def __init__(self, classes: int, shape: Sequence[int], *, dropout: float, head_dropout: float) -> None:
        super().__init__()
        coefficients, steps = shape
        tokens = (steps - _TRIMMED) // _POOL
        if tokens < 1:
            problem = f"{steps} MFCC steps are too few for mfcc_cnn"
            raise CfnsrError("extract.audio", problem, f"Use a longer window; {_TRIMMED + _POOL} steps are enough")
        # Pooling starts the third stage, so that the second one's output is at full rate.
        pool: OrderedDict[str, nn.Module] = OrderedDict(
            pool=nn.MaxPool1d(_POOL), norm=nn.BatchNorm1d(32), dropout=nn.Dropout(dropout)
        )
        self.stages = nn.Sequential(
            OrderedDict(
                conv1=nn.Sequential(OrderedDict(**_convolution(coefficients, 32, kernel=7), norm=nn.BatchNorm1d(32))),
                conv2=nn.Sequential(_convolution(32, 32, kernel=7)),
                conv3=nn.Sequential(
                    OrderedDict(pool=nn.Sequential(pool), **_convolution(32, 64, kernel=5), norm=nn.BatchNorm1d(64))
                ),
            )
        )
        self.channels = [32, 32, 64]
        self.dim = 64 * tokens
        self.head = nn.Sequential(
            OrderedDict(pool=nn.Flatten(), dropout=nn.Dropout(head_dropout), linear=nn.Linear(self.dim, classes))
        )


def _convolution(incoming: int, outgoing: int, *, kernel: int) -> OrderedDict[str, nn.Module]:
    return OrderedDict(conv=nn.Conv1d(incoming, outgoing, kernel_size=kernel, padding=2), relu=nn.ReLU())
